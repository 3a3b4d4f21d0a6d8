"""The gateway as a witness: it cosigns what only grows, durably, and keeps what contradicts as evidence."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from aggregator.ledger.book import Book
from edge_agent.sync.witness import CONFLICTS_MAX, Witness
from protos import sync_pb2 as pb
from protos.clock import NS
from protos.note import Head, Note, Verifier
from tests.aggregator.ledger.books import AT_NS, ORIGIN, SECONDS, rows

NAME = "gw-a"


class Log:
    """A ledger that shows checkpoints; another `salt` makes other entries."""

    def __init__(self, folder: Path, key: Path | None = None) -> None:
        folder.mkdir()
        if key is not None:
            (folder / "ledger.key").write_bytes(key.read_bytes())
            (folder / "ledger.key").chmod(0o600)
        self.key = folder / "ledger.key"
        self.book = Book(folder, ORIGIN)

    def grow(self, count: int, salt: int = 0) -> None:
        first = self.book.position + 1
        self.book.append([], [replace(one, received_ns=one.received_ns + salt) for one in rows(first, count)])
        self.book.sign(AT_NS)

    def shows(self, old: int) -> pb.Checkpoint:
        signed = self.book.newest()
        assert signed is not None
        note = (signed.text + "\n" + signed.lines[0]).encode()
        proof = self.book.consistency(old, signed.size) if old <= signed.size else []
        return pb.Checkpoint(note=note, consistency=proof, old_size=old, vkey=self.book.verifier.vkey)


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Log]:
    one = Log(tmp_path / "ledger")
    one.grow(10)
    yield one
    one.book.close()


def ask(witness: Witness, shown: pb.Checkpoint) -> pb.Cosignature:
    return witness.answer(NAME, shown, SECONDS * NS)


def test_it_cosigns_what_grows(log: Log, tmp_path: Path) -> None:
    witness = Witness(tmp_path / "witness")
    for old, more in ((0, 300), (10, 5), (310, 700)):
        shown = log.shows(old)
        told = ask(witness, shown)
        assert Verifier.of(told.vkey).check(Note.of(shown.note).text, told.signature) == SECONDS
        assert told.held_size == Head.of(Note.of(shown.note).text).size
        log.grow(more)
    assert (tmp_path / "witness" / "key.pem").stat().st_mode & 0o777 == 0o600
    assert witness.cosigned_total == 3
    assert witness.conflicts == 0


def test_it_takes_the_same_one_again(log: Log, tmp_path: Path) -> None:
    witness = Witness(tmp_path / "witness")
    assert ask(witness, log.shows(0)).signature
    assert ask(witness, log.shows(10)).signature
    assert ask(witness, log.shows(0)).signature, "nothing is to be proven between equals"


def test_it_says_from_where_it_is_to_be_led_on(log: Log, tmp_path: Path) -> None:
    witness = Witness(tmp_path / "witness")
    ask(witness, log.shows(0))
    log.grow(20)
    told = ask(Witness(tmp_path / "witness"), log.shows(0))  # after a restart
    assert (told.signature, told.held_size, told.conflict) == (b"", 10, "")
    assert ask(witness, log.shows(10)).signature


def fork(log: Log, folder: Path, count: int) -> Log:
    """Another history under the same key."""
    other = Log(folder, log.key)
    other.grow(count, salt=1)
    return other


@pytest.mark.parametrize(
    ("count", "old", "said"), [(10, 10, "different roots"), (30, 10, "history"), (5, 5, "cut off")]
)
def test_another_history_is_evidence(log: Log, tmp_path: Path, count: int, old: int, said: str) -> None:
    witness = Witness(tmp_path / "witness")
    held = ask(witness, log.shows(0))
    other = fork(log, tmp_path / "other", count)
    told = ask(witness, other.shows(old))
    assert said in told.conflict
    assert not told.signature
    assert witness.conflicts == 1
    (kept,) = (tmp_path / "witness").glob("conflict-*")
    evidence = json.loads(kept.read_text())
    for one in ("shown", "held"):  # both are signed by the same key: that proves it to anybody
        Verifier.of(evidence[one]["vkey"]).signed(Note.of(evidence[one]["note"].encode()))
    assert ask(Witness(tmp_path / "witness"), log.shows(10)).signature, "the history that it knows still counts"
    assert Witness(tmp_path / "witness").conflicts == 1, "an alarm until a person takes the file away"
    assert held.held_size == 10
    other.book.close()


def test_another_key_is_evidence(log: Log, tmp_path: Path) -> None:
    witness = Witness(tmp_path / "witness")
    ask(witness, log.shows(0))
    other = Log(tmp_path / "other")
    other.grow(20)
    assert "another key" in ask(witness, other.shows(10)).conflict
    other.book.close()


def test_evidence_is_bounded(log: Log, tmp_path: Path) -> None:
    witness = Witness(tmp_path / "witness")
    ask(witness, log.shows(0))
    other = fork(log, tmp_path / "other", 11)
    for _ in range(CONFLICTS_MAX + 5):
        other.grow(1, salt=1)
        assert ask(witness, other.shows(10)).conflict
    assert len(list((tmp_path / "witness").glob("conflict-*"))) == CONFLICTS_MAX
    other.book.close()


def test_a_credulous_witness_would_cosign_a_fork(log: Log, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative control: without the check of consistency nothing is found."""
    monkeypatch.setattr("edge_agent.sync.witness.extends", lambda *_: None)
    witness = Witness(tmp_path / "witness")
    ask(witness, log.shows(0))
    other = fork(log, tmp_path / "other", 30)
    assert ask(witness, other.shows(10)).signature
    other.book.close()


@pytest.mark.parametrize(
    "spoil", [lambda note: b"", lambda note: note[:-3], lambda note: note.replace(b"\n10\n", b"\n11\n")]
)
def test_what_nobody_signed_proves_nothing(log: Log, tmp_path: Path, spoil: Callable[[bytes], bytes]) -> None:
    witness = Witness(tmp_path / "witness")
    shown = log.shows(0)
    shown.note = spoil(shown.note)
    told = ask(witness, shown)
    assert told.conflict.startswith("cannot be read")
    assert not told.signature
    assert witness.conflicts == 0
    assert not (tmp_path / "witness" / "held").exists()


def test_what_it_held_is_not_forgotten_when_the_file_is_damaged(log: Log, tmp_path: Path) -> None:
    witness = Witness(tmp_path / "witness")
    ask(witness, log.shows(0))
    held = tmp_path / "witness" / "held"
    held.write_bytes(held.read_bytes()[:-1] + b"x")
    with pytest.raises(OSError, match="damaged"):
        ask(witness, log.shows(10))
