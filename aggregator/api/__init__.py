"""The face of the aggregator over HTTP: the page, REST, the live stream, NGSI-LD, metrics.

`route.py` says what a route is, each module of `rest/` has a literal table of them, `site.py` makes one site of all.
"""
