"""From a register that changed to the actuator's register, through cleaning, twin, decision and guard, at 10 ms.

The device itself takes the times: from the read that first showed the new input until the write arrived. To that the
way that it cannot see is added: one bare round trip, of the read's request and the write's answer. The partner is a
bare client that reads and writes the same registers over a plain blocking socket, and does nothing else.
"""

import socket
import struct
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from tests.bench import Figure
from tests.bench.acting import devices, site
from tests.bench.gateway import agent, ask

SECONDS = {"full": 60.0, "ci": 15.0}
ECHO_MS = 53.0  # no multiple of the period: the change comes at any moment of it
GOAL = 3.0
BARE = 2000


def bare(port: int) -> tuple[list[float], list[float]]:
    """Seconds of (read and write, one of them) by a bare client."""
    both: list[float] = []
    one: list[float] = []
    with socket.create_connection(("127.0.0.1", port)) as line:
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for count in range(BARE):
            begun = time.perf_counter()
            line.sendall(struct.pack(">HHHBBHH", count, 0, 6, 1, 3, 0, 11))
            line.recv(256)
            middle = time.perf_counter()
            line.sendall(struct.pack(">HHHBBHH", count, 0, 6, 1, 6, 12, count))
            line.recv(256)
            both.append(time.perf_counter() - begun)
            one.append(middle - begun)
            time.sleep(0.001)  # as the loop's, each pair comes after a rest
    return both, one


def run(scale: str) -> Iterator[Figure]:
    with tempfile.TemporaryDirectory(prefix="citytwin-roundtrip-") as name:
        folder = Path(name)
        with devices("--ports", "2", "--echo-ms", str(ECHO_MS)) as found:  # the second is the bare client's
            config = site(folder, found.ports[:1], period_ms=10, outputs=1, twins=1)
            with agent(folder, config):
                time.sleep(SECONDS[scale])
                gauges = ask(config)["gauges"]
                both, one = bare(found.ports[1])  # beside it, in the same process at the same time
        delays = np.array(found.report[0]["delays"][20:]) + np.median(one)
    if len(delays) < 100 or gauges["control_ticks_total"] < 50 * SECONDS[scale]:
        raise RuntimeError(f"the loop did not act: {len(delays)} answers, {gauges}")
    figure = float(np.percentile(delays, 99) / np.percentile(both, 99))
    beside = {
        "p99_ms": round(float(np.percentile(delays, 99)) * 1e3, 3),
        "p50_ms": round(float(np.median(delays)) * 1e3, 3),
        "bare_p99_ms": round(float(np.percentile(both, 99)) * 1e3, 3),
        "bare_p50_ms": round(float(np.median(both)) * 1e3, 3),
        "answers": len(delays),
        "changes": found.report[0]["changes"],
    }
    yield Figure("roundtrip", round(figure, 2), "× the bare two round trips, p99", "≤ 3", figure <= GOAL, beside)
