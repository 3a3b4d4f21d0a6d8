"""The ledger's verbs on a real ledger: what they print, what they exit with."""

import io
from collections.abc import Iterator
from pathlib import Path

import pytest

from aggregator.cli import main
from tests.aggregator.ledger.books import ORIGIN, SECONDS, Place, witness


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    one = Place(tmp_path)
    (tmp_path / "a.toml").write_text(f'[aggregator]\nstate_dir = "{tmp_path}"\n')
    one.audit(300)
    one.log(5)
    one.follow()
    one.sign("gw-a", "gw-b")
    yield one
    one.close()


def say(place: Place, *words: str) -> int:
    return main([*words, "-c", str(place.folder / "a.toml")])


def test_what_is_good_and_what_is_not(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    assert say(place, "verify-ledger") == 0
    assert "all good: 305 entries" in capsys.readouterr().out
    place.book.store.connection.execute("UPDATE entry SET content = x'00' WHERE number = 3")
    assert say(place, "verify-ledger", "--json") == 1
    assert '"entry 3"' in capsys.readouterr().out
    (place.folder / "a.toml").write_text(f'[aggregator]\nstate_dir = "{place.folder}/elsewhere"\n')
    assert say(place, "verify-ledger") == 2


def test_a_receipt_far_from_the_aggregator(place: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words, name in ((("receipt", "17"), "r"), (("policy",), "p"), (("checkpoint",), "held")):
        assert say(place, "ledger", *words) == 0
        (tmp_path / name).write_text(capsys.readouterr().out)
    policy = ("--policy", str(tmp_path / "p"))
    assert main(["verify-ledger", "--receipt", str(tmp_path / "r"), *policy]) == 0
    assert "cosigned by gw-a, gw-b" in capsys.readouterr().out
    assert say(place, "verify-ledger", "--held", str(tmp_path / "held")) == 0
    (tmp_path / "r").write_text((tmp_path / "r").read_text().replace("index 17", "index 16"))
    assert main(["verify-ledger", "--receipt", str(tmp_path / "r"), *policy]) == 1
    assert main(["verify-ledger", "--receipt", str(tmp_path / "r")]) == 2


def test_entries_are_shown_and_pruned(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    assert say(place, "ledger", "show", "--kind", "order", "--subject", "gw-1", "--limit", "3") == 0
    assert capsys.readouterr().out.count("order") >= 3
    assert say(place, "ledger", "prune", "--before", "400") == 1
    assert say(place, "ledger", "prune", "--before", "290") == 0
    assert "256 entries are gone" in capsys.readouterr().out
    assert say(place, "ledger", "receipt", "3") == 1
    assert "pruned" in capsys.readouterr().err
    assert say(place, "verify-ledger") == 0
    assert any(row.act == "ledger prune" for row in place.catalogue.audit(299))


def test_an_outside_witness(
    place: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    outside = witness("outside")
    policy = f"witness w {outside.verifier.vkey}\nquorum w\n"
    (tmp_path / "p").write_text(policy)
    with (tmp_path / "a.toml").open("a") as file:
        file.write('[ledger]\npolicy = "p"\n')
    assert say(place, "verify-ledger") == 1, "no quorum yet"
    capsys.readouterr()
    assert say(place, "ledger", "ask", "w") == 0
    asked = capsys.readouterr().out
    assert asked.startswith(f"old 0\n\n{ORIGIN}\n305\n")
    newest = place.book.newest()
    assert newest is not None
    monkeypatch.setattr("sys.stdin", io.StringIO(outside.sign(newest.text, SECONDS).line))
    assert say(place, "ledger", "cosign", "w") == 0
    assert say(place, "verify-ledger") == 0
    assert say(place, "ledger", "witnesses") == 0
    assert "w " in capsys.readouterr().out
    assert say(place, "ledger", "ask", "nobody") == 1
