"""The aggregator: takes in every gateway, keeps one durable log and projects history and fleet from it."""

import os

# before numpy: its matrices are sparse or small, and threads cost more than they bring (make bench ONLY=fuse)
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
