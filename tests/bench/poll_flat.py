"""The same 50 devices flat out: values per CPU-second from the wire through cleaning into the durable buffer.

Each device is asked again as soon as it has answered (its period is far below what it can do), and nothing is sent:
the gateway works alone. CPU seconds are those of the whole agent process.
"""

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.bench import Figure
from tests.bench.gateway import agent, ask, profile, site
from tests.bench.poll import DEVICES, REGISTERS, SETTLE_S, c_server, stored
from tests.bench.processes import cpu_s

SECONDS = {"full": 30.0, "ci": 10.0}
PERIOD_MS = 1  # five million values per second: more than the gateway can, so it never rests
GOAL = 1_000_000


def run(scale: str) -> Iterator[Figure]:
    with tempfile.TemporaryDirectory(prefix="citytwin-flat-") as name, c_server(DEVICES) as ports:
        folder = Path(name)
        profile(folder / "devices", "bench-100", REGISTERS)
        devices = [("bench-100", f"tcp://127.0.0.1:{port}", 1) for port in ports]
        config = site(folder, {}, devices, PERIOD_MS, commit_ms=1000, commit_readings=100_000, max_mb=1000)
        with agent(folder, config) as process:
            time.sleep(SETTLE_S)
            values, cpu, begun = stored(ask(config)), cpu_s(process.pid), time.monotonic()
            time.sleep(SECONDS[scale])
            took, cpu = time.monotonic() - begun, cpu_s(process.pid) - cpu
            last = ask(config)
            values = stored(last) - values
    yield Figure(
        "poll-flat",
        round(values / cpu),
        "values per CPU-second, polled → cleaned → durable",
        f"≥ {GOAL:,} values per CPU-second through to the durable buffer",
        values / cpu >= GOAL,
        {"values_per_s": round(values / took), "core_percent": round(100 * cpu / took, 1)},
    )
