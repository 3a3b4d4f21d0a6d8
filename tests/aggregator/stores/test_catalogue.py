"""The catalogue: changes with their audit, seen by other processes, bounded."""

from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import apsw
import pytest

from aggregator.stores import StoreError
from aggregator.stores.catalogue import CLOCKS_KEPT, DETAIL_MAX, Catalogue, ClockRow, Point
from aggregator.stores.identities import Identities, Issued, TokenRow
from protos.span import Span

POINT = Point("a", "meter", "power", "W", "energy", "power", "", False, False, True)


@pytest.fixture
def catalogue(tmp_path: Path) -> Catalogue:
    one = Catalogue(tmp_path / "catalogue.sqlite")
    with one.act(5, "test", "enrol", "a"):
        one.put_gateway("a", "enrolled", 5)
    return one


def test_a_change_and_its_audit_row_are_one(catalogue: Catalogue) -> None:
    with suppress(RuntimeError), catalogue.act(6, "test", "enrol", "b"):
        catalogue.put_gateway("b", "enrolled", 6)
        raise RuntimeError
    assert [one.id for one in catalogue.gateways()] == ["a"]
    assert [(one.act, one.subject) for one in catalogue.audit()] == [("enrol", "a")]


def test_the_audit_only_grows(catalogue: Catalogue) -> None:
    catalogue.note(7, "stranger", "enrol refused", "a", "x" * 10_000)
    assert len(catalogue.audit()[-1].detail) == DETAIL_MAX
    for change in ("DELETE FROM audit", "UPDATE audit SET detail = ''"):
        with pytest.raises(apsw.ConstraintError, match="only grows"):
            catalogue.connection.execute(change)
    assert len(catalogue.audit(after=1)) == 1


def test_points_no_longer_listed_stay(catalogue: Catalogue) -> None:
    energy = replace(POINT, name="energy")
    catalogue.put_points("a", "north", [POINT, energy], b"1")
    catalogue.put_points("a", "north", [energy], b"2")
    assert catalogue.points() == [energy, replace(POINT, current=False)]
    assert catalogue.points("b") == []
    known = catalogue.gateway("a")
    assert known is not None
    assert (known.district, known.catalogue_digest) == ("north", b"2")


def test_clocks_are_bounded(catalogue: Catalogue) -> None:
    for boot in range(CLOCKS_KEPT + 5):
        catalogue.put_clocks([("a", ClockRow(boot.to_bytes(16, "big"), boot, 1, "ntp"))], boot)
    assert sorted(one.offset_ns for one in catalogue.clocks("a")) == list(range(5, CLOCKS_KEPT + 5))


def test_what_another_process_changed_is_noticed(catalogue: Catalogue) -> None:
    catalogue.changed_elsewhere()
    catalogue.seen([("a", 9, "1.0", 3)])
    assert not catalogue.changed_elsewhere()
    other = Catalogue(catalogue.path)
    other.note(1, "operator", "look", "a")
    assert catalogue.changed_elsewhere()
    assert not catalogue.changed_elsewhere()
    other.close()


def test_unavailable_is_kept_once(catalogue: Catalogue) -> None:
    catalogue.put_unavailable("a", [Span(1, 2, 3), Span(1, 2, 3)])
    catalogue.put_unavailable("a", [Span(1, 2, 3)])
    assert catalogue.unavailable("a") == [Span(1, 2, 3)]


def test_one_open_token_at_a_time_used_once(catalogue: Catalogue) -> None:
    identities = Identities(catalogue)
    with catalogue.act(1, "test", "tokens", "a"):
        identities.put_token(TokenRow("one", "a", 1, 9))
        identities.put_token(TokenRow("two", "a", 1, 9))
        assert identities.token("one") is None
        assert identities.use_token("two", 3)
        assert not identities.use_token("two", 4)


def test_revocation_takes_all(catalogue: Catalogue) -> None:
    identities = Identities(catalogue)
    with catalogue.act(1, "test", "issue", "a"):
        identities.put_certificate(Issued("01", "a", 0, 9, "k", 1))
        identities.put_certificate(Issued("02", "a", 0, 10, "k2", 2))
        identities.put_token(TokenRow("one", "a", 1, 9))
        identities.ask_recovery("a", "k", 1)
    assert identities.newest()["a"].serial == "02"
    with catalogue.act(2, "test", "revoke", "a"):
        assert identities.revoke("a", 2, "stolen") == 2
    assert identities.revoked() == {"01": "stolen", "02": "stolen"}
    assert (identities.token("one"), identities.recoveries(), identities.newest()) == (None, [], {})


def test_read_only_needs_a_file(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="aggregator init"):
        Catalogue(tmp_path / "none", read_only=True)
    assert not (tmp_path / "none").exists()
