"""The city: its file, and the twin of all its domains, joined.

    city.toml ─ file.load ─→ City: a Part for each domain, couplings, feeds
                                │ Domain = build(part)
    readings ─→ Live: a fuser per domain, stepped together ─→ beliefs, forecasts, findings ─→ Desk: alarms

No IO but for the reading of the file; `aggregator/projections/city.py` brings the readings and keeps what comes out.

    CityError    all faults of a city file at once: file:line: key = value: what is wrong; what to do
"""


class CityError(Exception):
    """Every fault of the file, one a line."""
