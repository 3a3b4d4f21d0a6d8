"""Emulated power cuts: crash states of the buffer's disk, each opened with the real buffer.

The workload appends, acks, lets old rows go, checkpoints, closes and opens again on a disk that logs every write. Each
state is what a power cut may leave: all that was synced, and of the rest any part in torn sectors. The control is the
same with synchronous=OFF, which must lose something, or the exploration proves nothing.
"""

import logging
from collections.abc import Iterator

from tests.bench import Figure
from tests.faults.powercuts import explore

STATES = {"ci": 2_100, "full": 12_000}
APPENDS, CONTROL_STATES = 100, 60


def run(scale: str) -> Iterator[Figure]:
    kept = explore(STATES[scale] + 5, APPENDS)
    logging.disable(logging.ERROR)  # the control is meant to go wrong, and says so many times
    try:
        control = explore(CONTROL_STATES, APPENDS, synchronous="OFF")
    finally:
        logging.disable(logging.NOTSET)
    yield Figure(
        "powercuts",
        kept.lost + kept.twice + kept.wrong + kept.damaged,
        f"batches lost, doubled, wrong or damaged in {kept.states} states",
        "≥ 2,000 states in CI: 0 acked lost, 0 corrupt; negative control (synchronous=OFF) fails",
        kept.good() and kept.states >= 2_000 and control.lost > 0,
        {"states": kept.states, "control_states": control.states, "control_lost": control.lost},
    )
