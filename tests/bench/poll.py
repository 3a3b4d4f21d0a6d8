"""50 devices × 100 registers at 1 Hz: what polling costs from the wire to the aggregator, over mTLS.

Devices are 50 ports of a C server on libmodbus whose registers move; CPU seconds are those of the whole agent process.
thingsboard-gateway polls the same server afterwards, in the same run.
"""

import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.bench import Figure, thingsboard
from tests.bench.gateway import city, profile
from tests.bench.processes import cpu_s, resident_mib

DEVICES, REGISTERS = 50, 100
SECONDS = {"full": 60.0, "ci": 15.0}
SETTLE_S = 5.0
CORE_PERCENT, TIMES = 4.0, 5.0  # the goals
RSS_MIB = 80.0
SERVER = Path(__file__).parents[1] / "simulators" / "modbus_server.c"


def built() -> Path:
    """The C server, compiled when its source is newer."""
    program = Path(__file__).parents[2] / ".bench" / "modbus_server"
    program.parent.mkdir(exist_ok=True)
    if not program.exists() or program.stat().st_mtime < SERVER.stat().st_mtime:
        subprocess.run(["gcc", "-O2", "-o", str(program), str(SERVER), "-I/usr/include/modbus", "-lmodbus"], check=True)
    return program


@contextmanager
def c_server(ports: int) -> Iterator[list[int]]:
    """Run it; yields its ports."""
    with subprocess.Popen([built(), str(ports), "walk"], stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            yield [int(word) for word in server.stdout.readline().split()]
        finally:
            server.kill()


def stored(status: dict[str, object]) -> float:
    """Readings that are durable in the gateway's buffer."""
    gauges: dict[str, float] = status["gauges"]  # type: ignore[assignment]
    return gauges["buffer_stored_total"]


def run(scale: str) -> Iterator[Figure]:
    seconds = SECONDS[scale]
    with tempfile.TemporaryDirectory(prefix="citytwin-poll-") as name, c_server(DEVICES) as ports:
        folder = Path(name)
        profile(folder / "devices", "bench-100", REGISTERS)
        devices = [("bench-100", f"tcp://127.0.0.1:{port}", 1) for port in ports]
        with city(folder, devices, commit_ms=1000, commit_readings=20000) as one:
            time.sleep(SETTLE_S)
            values, cpu, begun = stored(one.status()), cpu_s(one.agent.pid), time.monotonic()
            time.sleep(seconds)
            took, cpu = time.monotonic() - begun, cpu_s(one.agent.pid) - cpu
            last = one.status()
            values = stored(last) - values
            rss = resident_mib(one.agent.pid)
            backlog = last["gauges"]["buffer_backlog_batches"]
        slaves = [thingsboard.slave("127.0.0.1", port, 1, REGISTERS, 1000) for port in ports]
        theirs, their_rate = thingsboard.values_per_cpu_s(slaves, folder, seconds)
    percent, ours = 100 * cpu / took, values / cpu
    beside = {
        "values_per_cpu_s": round(ours),
        "values_per_s": round(values / took),
        "backlog_batches": backlog,
        "thingsboard_values_per_cpu_s": round(theirs),
        "thingsboard_values_per_s": round(their_rate),
        "times_thingsboard": round(ours / theirs, 1),
    }
    yield Figure(
        "poll",
        round(percent, 2),
        "% of a core, polled → cleaned → durable → sent",
        f"≤ {CORE_PERCENT:.0f} % of a core; ≥ {TIMES:.0f} × thingsboard-gateway",
        percent <= CORE_PERCENT and ours >= TIMES * theirs and values / took >= 0.98 * DEVICES * REGISTERS,
        beside,
    )
    goal = f"resident memory of the whole agent doing that ≤ {RSS_MIB:.0f} MiB"
    yield Figure("agent-rss", round(rss, 1), "MiB", goal, rss <= RSS_MIB)
