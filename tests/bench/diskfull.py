"""A disk that somebody else fills to the last byte, again and again, while readings arrive."""

import logging
from collections.abc import Iterator

from tests.bench import Figure
from tests.faults.diskfull import SECONDS, explore

COMMITS = {"ci": 300, "full": 3_000}  # of 10 s each on a stepped clock: 50 minutes, 8 hours


def run(scale: str) -> Iterator[Figure]:
    commits = COMMITS[scale]
    logging.disable(logging.CRITICAL)
    try:
        found = explore(commits)
    finally:
        logging.disable(logging.NOTSET)
    yield Figure(
        "diskfull",
        round(found.kept_while_full / commits, 4),
        f"of the batches that came in {commits * SECONDS // 60} min of a full disk were kept as the newest",
        "keeps polling, drops counted oldest-first by class, drains alone afterwards",
        found.good(commits),
        {
            "slowest_append_s": round(found.slowest_s, 3),
            "readings_dropped": found.dropped,
            "dropped_out_of_order": found.dropped_out_of_order,
            "batches_drained_after": found.drained,
        },
    )
