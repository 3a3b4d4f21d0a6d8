"""A disk that answers with errors: readings are dropped and counted, and all goes on when it is well again."""

from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from edge_agent.buffer.cabinet import Cabinet
from edge_agent.buffer.recovery import Place
from protos.batch import Priority
from protos.clock import Anchor, SteppedClock
from tests.edge.buffer.gateway import GATEWAY, POINTS, UTC_NS, Limits, frames_of, serial_of

READINGS = 2 * POINTS


class Sick(apsw.VFS):
    """A disk whose operations fail while they are named in `failing`."""

    def __init__(self, name: str) -> None:
        super().__init__(name, "")
        self.name = name
        self.failing: set[str] = set()

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> "SickFile":  # noqa: N802
        return SickFile(self, name, flags)

    def fail(self, operation: str, code: int) -> None:
        if operation in self.failing:
            raise apsw.exception_for(code)


class SickFile(apsw.VFSFile):
    def __init__(self, disk: Sick, name: str | apsw.URIFilename | None, flags: list[int]) -> None:
        super().__init__("", name, flags)
        self._disk = disk

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802
        self._disk.fail("write", apsw.SQLITE_IOERR_WRITE)
        super().xWrite(data, offset)

    def xSync(self, flags: int) -> None:  # noqa: N802
        self._disk.fail("sync", apsw.SQLITE_IOERR_FSYNC)
        super().xSync(flags)

    def xRead(self, amount: int, offset: int) -> bytes:  # noqa: N802
        self._disk.fail("read", apsw.SQLITE_IOERR_READ)
        return super().xRead(amount, offset)


@pytest.fixture
def disk(request: pytest.FixtureRequest) -> Iterator[Sick]:
    disk = Sick(f"sick-{request.node.name}")
    yield disk
    disk.unregister()


def append(cabinet: Cabinet, serial: int) -> int:
    return cabinet.append(frames_of(serial), Priority.TELEMETRY, Anchor(bytes(16), UTC_NS, 0, "ntp"))


def waiting(cabinet: Cabinet) -> list[int]:
    return [serial_of(one) for one in cabinet.waiting(0, None, 1000, 1 << 30)]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("operation", ["write", "sync"])
def test_writes_that_fail_cost_what_came_meanwhile(tmp_path: Path, disk: Sick, operation: str) -> None:
    cabinet = Cabinet(Place(tmp_path, GATEWAY, disk.name), SteppedClock(), Limits())
    assert [append(cabinet, serial) for serial in (1, 2)] == [1, 2]
    disk.failing.add(operation)
    assert [append(cabinet, serial) for serial in (3, 4)] == [0, 0]
    assert not cabinet.rest()
    disk.failing.clear()
    assert append(cabinet, 5) > 0
    gauges = cabinet.gauges()
    assert gauges["dropped_disk_error_total"] == 2 * READINGS
    assert (gauges["received_total"], gauges["stored_total"]) == (5 * READINGS, 3 * READINGS)
    assert waiting(cabinet) == [1, 2, 5]
    cabinet.close()
    cabinet = Cabinet(Place(tmp_path, GATEWAY, disk.name), SteppedClock(), Limits())
    assert waiting(cabinet) == [1, 2, 5]
    assert cabinet.gauges()["dropped_disk_error_total"] == 2 * READINGS
    cabinet.close()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_file_that_cannot_be_read_is_set_aside(tmp_path: Path, disk: Sick) -> None:
    cabinet = Cabinet(Place(tmp_path, GATEWAY, disk.name), SteppedClock(), Limits())
    for serial in (1, 2, 3):
        append(cabinet, serial)
    cabinet.close()
    cabinet = Cabinet(Place(tmp_path, GATEWAY, disk.name), SteppedClock(), Limits())
    cabinet.store.database.connection.execute("PRAGMA shrink_memory")
    disk.failing.add("read")
    assert waiting(cabinet) == []
    disk.failing.clear()
    assert append(cabinet, 4) > 0
    assert cabinet.salvage_all() == 3
    assert waiting(cabinet) == [1, 2, 3, 4]
    assert cabinet.gauges()["damaged_total"] >= 1
    cabinet.close()
