"""The ledger over its whole life: grown in pieces, reopened, proven, pruned, verified; and what it refuses."""

from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from aggregator.ledger.book import FILE, Book
from aggregator.ledger.keys import LedgerError
from aggregator.ledger.policy import majority
from aggregator.ledger.receipt import Receipt, ReceiptError
from aggregator.ledger.verification import Files, verify
from protos import tlog
from protos.note import Note
from tests.aggregator.ledger.books import AT_NS, ORIGIN, SECONDS, Place, rows, witness


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    one = Place(tmp_path)
    one.audit(40)
    one.log(560)
    one.follow(97)
    yield one
    one.close()


def faults(place: Place, *held: Note) -> list[str]:
    return [f"{one.place}: {one.fault}" for one in verify(place.files, place.book.policy(), held)]


def test_a_whole_ledger_is_good(place: Place) -> None:
    first = place.sign("gw-a", "gw-b", "gw-c")
    place.audit(3)
    place.follow()
    place.sign("gw-a", "gw-b")
    assert place.book.size == 603
    assert faults(place, Note.of(first.note)) == []


def test_it_goes_on_where_it_was(place: Place) -> None:
    before = place.book.root(600)
    place.book.close()
    place.book = Book(place.folder / "ledger", ORIGIN)
    assert place.book.root(600) == before
    place.audit(300)
    place.follow()
    place.sign("gw-a")
    assert faults(place) == []
    proof = place.book.consistency(600, 900)
    tlog.check_consistency(600, 900, proof, before, place.book.root(900))


def test_every_entry_has_a_receipt(place: Place) -> None:
    place.sign("gw-a", "gw-b")
    policy = place.book.policy()
    for index in (0, 255, 256, 511, 512, 599):
        told = place.book.receipt(index).text.encode()
        assert Receipt.of(told).check(policy) == {"gw-a": SECONDS, "gw-b": SECONDS}
    with pytest.raises(LedgerError, match="not yet under a checkpoint"):
        place.book.receipt(600)


def test_a_receipt_of_something_else_is_none(place: Place) -> None:
    place.sign("gw-a", "gw-b", "gw-c")
    policy, told = place.book.policy(), place.book.receipt(17).text
    wrong = {
        "not in the tree": told.replace("index 17", "index 18"),
        "no base64": told.replace("extra ", "extra !", 1),
        "no receipt": told.replace("tlog-proof@v1", "tlog-proof@v2"),
        "not signed": told.replace(f"\u2014 {ORIGIN} ", f"\u2014 {ORIGIN}x "),
        "no quorum": "\n".join(one for one in told.split("\n") if "gw-b" not in one and "gw-c" not in one),
    }
    for why, text in wrong.items():
        with pytest.raises(ReceiptError, match=why):
            Receipt.of(text.encode()).check(policy)


def test_pruned_entries_are_gone_and_everything_can_still_be_proven(place: Place) -> None:
    old = place.sign("gw-a")
    assert place.book.store.prune(520) == 512
    with pytest.raises(LedgerError, match="pruned"):
        place.book.receipt(511)
    place.book.receipt(512).check(place.book.policy())
    place.audit(100)
    place.follow()
    place.sign("gw-a")
    assert faults(place, Note.of(old.note)) == []
    tlog.check_consistency(600, 700, place.book.consistency(600, 700), place.book.root(600), place.book.root(700))


def edit(place: Place, *changes: str, file: str = f"ledger/{FILE}") -> None:
    connection = apsw.Connection(str(place.folder / file))
    for one in ("audit_stays", "audit_kept"):
        connection.execute(f"DROP TRIGGER IF EXISTS {one}")
    for one in changes:
        connection.execute(one)
    connection.close()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("UPDATE entry SET content = CAST(replace(content, 'valve', 'pump') AS BLOB) WHERE number = 3", "tile 0/0"),
        ("DELETE FROM entry WHERE number = 300", "entry 300: is missing"),
        ("DELETE FROM entry WHERE number = 599", "entry 599: is missing"),
        ("UPDATE tile SET hashes = zeroblob(length(hashes)) WHERE level = 1", "tile 1/0"),
        ("DELETE FROM tile WHERE level = 0 AND number = 1", "tile 0/1"),
        ("INSERT INTO tile VALUES (3, 0, zeroblob(32))", "others than"),
        ("UPDATE checkpoint SET text = replace(text, '600', '599')", "checkpoint 600"),
        ("UPDATE cosignature SET line = replace(line, '/witness/gw-a ', '/witness/gw-b ')", "quorum"),
        ("DELETE FROM cosignature", "quorum"),
        ("DELETE FROM checkpoint", "no checkpoint"),
        ("UPDATE mark SET value = 599 WHERE name = 'size'", "entries, here are 599"),
        ("INSERT INTO evidence VALUES (1, 1, 'gw-a', 'a tail was cut off', x'00')", "gw-a: a tail"),
    ],
)
def test_what_is_changed_is_found(place: Place, change: str, said: str) -> None:
    place.sign("gw-a", "gw-b")
    edit(place, "PRAGMA foreign_keys = 0", change)
    assert any(said in one for one in faults(place)), faults(place)


@pytest.mark.parametrize(
    ("file", "change", "said"),
    [
        ("catalogue.sqlite", "UPDATE audit SET actor = 'eve' WHERE number = 7", "audit row 7"),
        ("catalogue.sqlite", "DELETE FROM audit WHERE number = 7", "audit row 7"),
        ("catalogue.sqlite", "DELETE FROM audit WHERE number = 40", "audit row 40"),
        ("log.sqlite", "UPDATE log SET blob = x'00' WHERE position = 9", "log position 9"),
        ("log.sqlite", "DELETE FROM log WHERE position = 560", "log position 560"),
    ],
)
def test_data_that_is_changed_is_found(place: Place, file: str, change: str, said: str) -> None:
    place.sign("gw-a")
    edit(place, change, file=file)
    assert any(said in one for one in faults(place))


def test_a_ledger_made_again_with_the_same_key_is_found_by_who_holds_a_checkpoint(place: Place) -> None:
    held = Note.of(place.sign("gw-a").note)
    place.close()
    for name in ("ledger.sqlite", "ledger.sqlite-wal", "ledger.sqlite-shm"):
        (place.folder / "ledger" / name).unlink(missing_ok=True)
    (place.folder / "catalogue.sqlite").unlink()
    forged = Place(place.folder)
    forged.audit(1)
    forged.log(50)
    forged.follow()
    forged.sign("gw-b")
    assert faults(forged) == [], "nobody can see it who has not seen the other one"
    assert faults(forged, held), "who holds a checkpoint does"
    forged.close()


def test_a_cut_tail_is_found_by_who_holds_a_checkpoint(place: Place, tmp_path: Path) -> None:
    held = place.sign("gw-a")
    short = Book(tmp_path / "short", ORIGIN)
    short.append([], rows(1, 100))
    (tmp_path / "short" / "ledger.key").write_bytes((place.folder / "ledger" / "ledger.key").read_bytes())
    short.close()
    short = Book(tmp_path / "short", ORIGIN)
    short.sign(AT_NS)
    files = Files(tmp_path / "short")
    assert not list(verify(files, majority(short.verifier, [])))
    found = list(verify(files, majority(short.verifier, []), [Note.of(held.note)]))
    assert "a tail was cut off" in found[0].fault
    short.close()


def test_a_cosignature_that_is_not_good_is_not_kept(place: Place) -> None:
    signed = place.book.sign(AT_NS)
    assert signed is not None
    one = witness("gw-a")
    other = one.sign(signed.text.replace("600", "601"), SECONDS)
    wrong = place.book.cosign(signed, [("gw-a", one.verifier.vkey, other.content), ("gw-b", "nonsense", b"")], AT_NS)
    assert len(wrong) == 2
    assert place.book.store.witnesses() == []


def test_nothing_is_appended_when_the_file_takes_nothing(place: Place) -> None:
    before = place.book.root(600)
    with pytest.raises(apsw.Error):
        place.book.store.connection.execute("DROP TABLE mark; SELECT * FROM mark")
    place.book.store.connection.execute("CREATE TABLE mark (name TEXT PRIMARY KEY, value ANY NOT NULL)")
    place.book.store.connection.executemany(
        "INSERT INTO mark VALUES (?, ?)",
        [("size", 600), ("audit", 40), ("position", 560), ("minimum", 0), ("origin", ORIGIN)],
    )
    place.book.store.connection.execute(
        "CREATE TRIGGER no BEFORE INSERT ON entry BEGIN SELECT raise(ABORT, 'full'); END"
    )
    with pytest.raises(apsw.Error):
        place.book.append([], rows(561, 5))
    place.book.store.connection.execute("DROP TRIGGER no")
    assert place.book.size == 600
    assert place.book.root(600) == before
    place.book.append([], rows(561, 5))
    assert place.book.size == 605


def test_another_name_is_another_ledger(place: Place) -> None:
    with pytest.raises(LedgerError, match="is the ledger of"):
        Book(place.folder / "ledger", "elsewhere.example/ledger")


def test_a_key_that_others_may_read_is_refused(place: Place) -> None:
    key = place.folder / "ledger" / "ledger.key"
    assert key.stat().st_mode & 0o777 == 0o600
    key.chmod(0o644)
    with pytest.raises(LedgerError, match="chmod 600"):
        Book(place.folder / "ledger", ORIGIN)
