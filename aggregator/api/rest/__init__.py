"""REST, one noun a file; each with `ROUTES`, a literal table. `aggregator/api/site.py` names them."""
