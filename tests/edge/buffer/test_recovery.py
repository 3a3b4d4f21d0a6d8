"""What a start makes of files that are not what they were."""

import shutil
from pathlib import Path

import apsw
import pytest

from edge_agent.buffer import BufferFault
from edge_agent.buffer.database import LOG_BYTES
from protos.batch import Priority
from protos.span import Span
from tests.edge.buffer.gateway import POINTS, Gateway

MAIN, LOG, EPOCH = "buffer.sqlite", "buffer.sqlite-wal", "buffer.epoch"
READINGS = 2 * POINTS  # of one append


async def lived(directory: Path, serials: int = 20) -> None:
    """A buffer that was closed; the first five are acked."""
    gateway = Gateway(directory)
    await gateway.open()
    for serial in range(1, serials + 1):
        await gateway.append(serial)
    await gateway.buffer.mark([Span(1, 1, 5)], [])
    await gateway.buffer.close()


async def killed(directory: Path, place: Path, serials: int = 20) -> None:
    """The files of a buffer that was killed after its last commit."""
    gateway = Gateway(place)
    await gateway.open()
    for serial in range(1, serials + 1):
        await gateway.append(serial)
    shutil.copytree(place, directory)
    await gateway.buffer.close()


async def test_a_database_that_is_none_is_set_aside(tmp_path: Path) -> None:
    await lived(tmp_path)
    (tmp_path / MAIN).write_bytes(b"not a database at all" * 1000)
    gateway = Gateway(tmp_path)
    buffer = await gateway.open()
    assert (tmp_path / f"{MAIN}.damaged-1").exists()
    assert (buffer.epoch, await gateway.append(99)) == (2, 1)
    assert await buffer.salvaged() == 0
    assert buffer.gauges()["damaged_total"] == 1
    await buffer.close()


async def test_what_is_readable_comes_home_with_counters_and_acks(tmp_path: Path) -> None:
    await lived(tmp_path)
    data = bytearray((tmp_path / MAIN).read_bytes())
    data[100:108] = b"\xff" * 8  # the head of the first tree
    (tmp_path / MAIN).write_bytes(data)
    gateway = Gateway(tmp_path)
    buffer = await gateway.open()
    await gateway.append(21)
    assert await buffer.salvaged() == 20
    assert await gateway.waiting() == list(range(6, 22))
    gauges = buffer.gauges()
    assert (gauges["received_total"], gauges["stored_total"]) == (21 * READINGS, 21 * READINGS)
    assert (gauges["quarantined_total"], gauges["damaged_total"]) == (0, 1)
    await buffer.close()


async def test_salvage_goes_on_after_a_restart(tmp_path: Path) -> None:
    await lived(tmp_path, 200)
    data = bytearray((tmp_path / MAIN).read_bytes())
    data[100:108] = b"\xff" * 8
    (tmp_path / MAIN).write_bytes(data)
    first = Gateway(tmp_path)
    await first.open()
    await first.buffer.close()
    second = Gateway(tmp_path)
    await second.open()
    await second.buffer.salvaged()
    assert await second.waiting() == list(range(6, 201))
    assert second.buffer.gauges()["stored_total"] == 200 * READINGS
    assert not list(tmp_path.glob("*-pending"))
    await second.buffer.close()


async def test_commits_behind_a_damaged_frame_of_the_log_are_not_forgotten(tmp_path: Path) -> None:
    state = tmp_path / "state"
    await killed(state, tmp_path / "origin")
    data = bytearray((state / LOG).read_bytes())
    data[32 + 24 + 1048 * 12] ^= 1
    (state / LOG).write_bytes(data)
    gateway = Gateway(state)
    buffer = await gateway.open()
    await buffer.salvaged()
    assert set(await gateway.waiting()) >= set(range(5, 21))
    assert buffer.gauges()["damaged_total"] == 1
    assert buffer.epoch == 2
    await buffer.close()


async def test_a_log_cut_short_is_reported(tmp_path: Path) -> None:
    state = tmp_path / "state"
    await killed(state, tmp_path / "origin")
    assert (state / LOG).stat().st_size == LOG_BYTES
    with (state / LOG).open("r+b") as file:
        file.truncate(32 + 1048 * 20)
    gateway = Gateway(state)
    buffer = await gateway.open()
    await buffer.salvaged()
    found = await gateway.waiting()
    assert found == list(range(1, len(found) + 1))
    assert buffer.gauges()["damaged_total"] == 1
    await buffer.close()


@pytest.mark.parametrize("damage", [b"", b"00000000 {}"])
async def test_without_its_file_the_epoch_leaps(tmp_path: Path, damage: bytes) -> None:
    await lived(tmp_path)
    (tmp_path / EPOCH).write_bytes(damage)
    gateway = Gateway(tmp_path)
    assert (await gateway.open()).epoch == 1001
    assert gateway.buffer.gauges()["damaged_total"] == 1
    await gateway.buffer.close()


async def test_a_bad_blob_is_quarantined_and_the_rest_served(tmp_path: Path) -> None:
    await lived(tmp_path)
    database = apsw.Connection(str(tmp_path / MAIN))
    database.execute("UPDATE batch SET blob = zeroblob(length(blob)) WHERE number & 1023 IN (3, 9)")
    database.close()
    gateway = Gateway(tmp_path)
    buffer = await gateway.open()
    assert await gateway.waiting() == [serial for serial in range(6, 21) if serial != 9]
    assert [one.sequence for one in await buffer.read(Span(1, 1, 5))] == [1, 2, 4, 5]
    gauges = buffer.gauges()
    assert gauges["quarantined_batches_total"] == 2
    assert gauges["quarantined_total"] == READINGS  # the other one was delivered
    assert gauges["received_total"] == gauges["stored_total"] + gauges["quarantined_total"]
    await buffer.close()


async def test_a_changed_row_is_not_believed(tmp_path: Path) -> None:
    await lived(tmp_path)
    database = apsw.Connection(str(tmp_path / MAIN))
    database.execute("UPDATE batch SET readings = 5, priority = 3 WHERE number & 1023 = 7")
    database.close()
    gateway = Gateway(tmp_path)
    buffer = await gateway.open()
    assert await gateway.waiting() == [serial for serial in range(6, 21) if serial != 7]
    assert buffer.gauges()["quarantined_total"] == READINGS
    await buffer.close()


async def test_a_directory_in_its_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / MAIN).mkdir()
    with pytest.raises(BufferFault, match="cannot be opened"):
        await Gateway(tmp_path).open()


async def test_alarms_stay_alarms_through_salvage(tmp_path: Path) -> None:
    gateway = Gateway(tmp_path)
    await gateway.open()
    await gateway.append(1, Priority.ALARM)
    await gateway.buffer.close()
    data = bytearray((tmp_path / MAIN).read_bytes())
    data[100:108] = b"\xff" * 8
    (tmp_path / MAIN).write_bytes(data)
    buffer = await gateway.open()
    await buffer.salvaged()
    assert [one.priority for one in await buffer.newer(0, 0, 9, 1 << 20)] == [Priority.ALARM]
    await buffer.close()
