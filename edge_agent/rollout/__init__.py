"""How a new model comes into service: tried in a process of its own, shown beside the old one, watched, or taken back.

file → signature → digests → trial → candidate ─ shadow → probation → commit
       protos/bundle.py      trial.py  slots.py (the rules), shelf.py (on disk), models.py (all of a gateway)
"""
