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
    """A disk whose operations fail while they are named in `failing`; `lying`: it does not say so."""

    def __init__(self, name: str) -> None:
        super().__init__(name, "")
        self.name = name
        self.failing: set[str] = set()
        self.lying = False

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> "SickFile":  # noqa: N802
        return SickFile(self, name, flags)

    def fail(self, operation: str, code: int) -> bool:
        """Raise, or say to a lying disk that nothing is to be done."""
        if operation in self.failing and not self.lying:
            raise apsw.exception_for(code)
        return operation in self.failing


class SickFile(apsw.VFSFile):
    def __init__(self, disk: Sick, name: str | apsw.URIFilename | None, flags: list[int]) -> None:
        super().__init__("", name, flags)
        self._disk = disk

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802
        if not self._disk.fail("write", apsw.SQLITE_IOERR_WRITE):
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


def keeps_account(tmp_path: Path, disk: Sick, operation: str, kind: type[Cabinet] = Cabinet) -> None:
    """While `operation` fails, what comes is dropped and counted; all that was said to be stored is there afterwards.

    Raises AssertionError where that is not so.
    """
    cabinet = kind(Place(tmp_path, GATEWAY, disk.name), SteppedClock(), Limits())
    told = {serial: append(cabinet, serial) > 0 for serial in (1, 2)}
    disk.failing.add(operation)
    told |= {serial: append(cabinet, serial) > 0 for serial in (3, 4)}
    cabinet.rest()
    disk.failing.clear()
    told[5] = append(cabinet, 5) > 0
    stored = [serial for serial, kept in told.items() if kept]
    for _ in ("as it goes on", "as it is opened again"):
        gauges = cabinet.gauges()
        assert waiting(cabinet) == stored
        assert gauges["stored_total"] == len(stored) * READINGS
        assert gauges["stored_total"] + gauges["dropped_disk_error_total"] == len(told) * READINGS
        assert gauges["received_total"] == len(told) * READINGS
        cabinet.close()
        cabinet = kind(Place(tmp_path, GATEWAY, disk.name), SteppedClock(), Limits())
    cabinet.close()
    assert stored == [1, 2, 5]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("operation", ["write", "sync"])
def test_writes_that_fail_cost_what_came_meanwhile(tmp_path: Path, disk: Sick, operation: str) -> None:
    keeps_account(tmp_path, disk, operation)


class Forgetful(Cabinet):
    """Drops without counting: the broken promise."""

    def _lose(self, count: int, why: str) -> int:
        return 0


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("operation", ["write", "sync"])
def test_drops_that_are_not_counted_are_noticed(tmp_path: Path, disk: Sick, operation: str) -> None:
    """Negative control."""
    with pytest.raises(AssertionError):
        keeps_account(tmp_path, disk, operation, Forgetful)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_disk_that_takes_writes_and_keeps_nothing_is_noticed(tmp_path: Path, disk: Sick) -> None:
    """Negative control: what was said to be stored is not there."""
    disk.lying = True
    with pytest.raises(AssertionError):
        keeps_account(tmp_path, disk, "write")


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
