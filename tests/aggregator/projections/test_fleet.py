"""The fleet: what streams told, what the log counted, seen by another process."""

from pathlib import Path

from aggregator.projections import fleet
from aggregator.projections.fleet import DAY_NS, Fleet
from aggregator.stores import Counts
from aggregator.stores.catalogue import ClockRow, Gateway
from aggregator.stores.identities import Issued
from protos import sync_pb2

S = 1_000_000_000
NOW_NS = 1_800_000_000 * S


def gateway(name: str, state: str = "enrolled") -> Gateway:
    return Gateway(name, state, "north", 1, "1.0", 3, 1, b"")


def test_told_saved_and_read(tmp_path: Path) -> None:
    one = Fleet(tmp_path / "fleet.json")
    hello = sync_pb2.Hello(software="1.1", wall_ns=NOW_NS + 2 * S, backlog_batches=7, backlog_bytes=70)
    one.joined("a", NOW_NS, NOW_NS + 10 * DAY_NS, hello)
    one.clock("a", ClockRow(b"b" * 16, 5, 2_000_000, "aggregator"))
    one.batch("a", NOW_NS + S, live=True)
    one.batch("a", NOW_NS + 2 * S, live=False)
    one.status("a", NOW_NS, sync_pb2.Status(gauges={"backlog_batches": 3, "cpu_c": 51.5}, facts={"model": "pi"}))
    one.save()
    found = fleet.read(tmp_path / "fleet.json")["a"]
    assert found == one["a"]
    assert (found.connected, found.software, found.backlog_batches, found.wall_offset_ns) == (True, "1.1", 3, 2 * S)
    assert (found.live_ns, found.batch_ns, found.facts) == (NOW_NS + S, NOW_NS + 2 * S, {"model": "pi"})
    one.left("a", NOW_NS + 3 * S, "silent")
    one.save()
    assert not fleet.read(tmp_path / "fleet.json")["a"].connected


def test_none_ran_yet(tmp_path: Path) -> None:
    assert fleet.read(tmp_path / "fleet.json") == {}


def test_one_row_a_gateway(tmp_path: Path) -> None:
    one = Fleet(tmp_path / "fleet.json")
    one.joined("a", NOW_NS - 60 * S, 0, sync_pb2.Hello(software="1.1", wall_ns=NOW_NS - 60 * S))
    one.batch("a", NOW_NS - 3 * S, live=True)
    counts = {"a": Counts("a", 10, 8, 1, 1, 800, 999, NOW_NS)}
    issued = {"a": Issued("01", "a", 0, NOW_NS + 20 * DAY_NS, "k", 1)}
    everyone = [gateway("a"), gateway("b"), gateway("c", "expected"), gateway("d", "revoked")]
    rows = fleet.rows(everyone, {"a": one["a"]}, counts, issued, {"b"}, NOW_NS)
    assert [row["state"] for row in rows] == ["connected", "asks recovery", "expected", "revoked"]
    first = rows[0]
    assert (first["lag s"], first["cert days"], first["software"], first["clock ±ms"]) == (3.0, 20.0, "1.1", None)
    assert first["received"] == 10
    assert [row["stored"] for row in rows] == [8, 0, 0, 0]
    assert len({tuple(row) for row in rows}) == 1  # the same columns for all
