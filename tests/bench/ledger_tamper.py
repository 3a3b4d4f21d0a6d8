"""10,000 random edits, deletions, reorders, tail cuts and forks of a ledger's files: how many are found, and by what.

Who tampers has the machine: any file may be changed, and for tail cuts and forks the log's own key is used to sign
anew, so that the ledger by itself is whole. Those are found by the checkpoint that a gateway holds. The negative
control is the same ledger looked at without it, and every tampering undone: nothing may be found in a whole ledger.
"""

import random
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import apsw

from aggregator.ledger import entry
from aggregator.ledger.book import FILE, KEY, Book
from aggregator.ledger.policy import Policy
from aggregator.ledger.verification import Files, verify
from protos.note import Note
from tests.aggregator.ledger.books import AT_NS, ORIGIN, Place, rows
from tests.bench import Figure

AUDITS, BATCHES = 200, 400
SEED = 20261123
CUT, FORK = "tail cut", "fork"  # signed anew
Tamper = Callable[[apsw.Connection, random.Random, int], None]


def run(scale: str) -> Iterator[Figure]:
    count = 10_000 if scale == "full" else 500
    chance, missed, unseen, tried = random.Random(SEED), Counter[str](), Counter[str](), Counter[str]()
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as name:
        folder = Path(name)
        place = Place(folder)
        place.audit(AUDITS)
        place.log(BATCHES)
        place.follow(50)
        held = Note.of(place.sign("gw-a", "gw-b", "gw-c").note)
        policy = Policy([place.book.verifier])  # no quorum is asked for: one gateway that remembers is enough
        place.book.store.connection.pragma("wal_checkpoint(truncate)")
        place.close()
        whole = folder / "whole"
        shutil.copytree(folder / "ledger", whole)
        false_alarms = len(faults(folder, policy, held))
        for _ in range(count):
            kind = chance.choice([*EDITS, CUT, FORK])
            tried[kind] += 1
            if kind in EDITS:
                restored(folder, whole)
                changed(folder, EDITS[kind], chance)
            else:
                remade(kind == FORK, folder, whole, chance)
            missed[kind] += not faults(folder, policy, held)
            unseen[kind] += kind not in EDITS and not faults(folder, policy)
        restored(folder, whole)
        false_alarms += len(faults(folder, policy, held))
    found = count - sum(missed.values())
    yield Figure(
        "found", found, f"of {count}", "10,000 random edits, deletions, reorders, tail cuts and forks: all found",
        found == count and not false_alarms, {f"tried: {kind}": float(n) for kind, n in sorted(tried.items())},
    )  # fmt: skip
    blind = sum(unseen.values())
    yield Figure(
        "control", blind, "not found without the checkpoint that a gateway holds", "more than 0", blind > 0,
        {"false alarms": float(false_alarms), **{kind: float(n) for kind, n in sorted(unseen.items()) if n}},
    )  # fmt: skip


def faults(folder: Path, policy: Policy, *held: Note) -> list[str]:
    """By the ledger's own files: who can write them can write catalogue and log."""
    return [one.fault for one in verify(Files(folder / "ledger"), policy, held)]


def restored(folder: Path, whole: Path) -> None:
    for path in (folder / "ledger").iterdir():
        path.unlink()
    for path in whole.iterdir():
        shutil.copy2(path, folder / "ledger" / path.name)


def changed(folder: Path, kind: Tamper, chance: random.Random) -> None:
    connection = apsw.Connection(str(folder / "ledger" / FILE))
    connection.pragma("synchronous", "off")
    kind(connection, chance, AUDITS + BATCHES)
    connection.close()


def remade(forked: bool, folder: Path, whole: Path, chance: random.Random) -> None:
    """A ledger that is whole in itself, signed by the log's key: shorter, or of another past and as long or longer."""
    for path in (folder / "ledger").iterdir():
        path.unlink()
    shutil.copy2(whole / KEY, folder / "ledger" / KEY)
    total = AUDITS + BATCHES
    source = apsw.Connection(str(whole / FILE), flags=apsw.SQLITE_OPEN_READONLY)
    kept = [bytes(one) for (one,) in source.execute("SELECT content FROM entry ORDER BY number")]
    source.close()
    length = total + chance.choice([0, 1, 50]) if forked else chance.randrange(1, total)
    wrong = chance.randrange(total) if forked else -1
    book = Book(folder / "ledger", ORIGIN)
    book.store.connection.pragma("synchronous", "off")
    made = []
    for number in range(length):
        content = kept[number] if number < total else entry.of_batch(rows(number, 1)[0]).content
        made.append(entry.Entry(entry.BATCH if b'"batch"' in content else "order", "x", content))
    if forked:
        told = made[wrong]
        made[wrong] = told._replace(content=told.content.replace(b'"v":1', b'"v":2'))
    book.write(made, AUDITS, BATCHES)
    book.sign(AT_NS)
    book.close()


def edit(connection: apsw.Connection, chance: random.Random, size: int) -> None:
    """One bit of an entry."""
    number = chance.randrange(size)
    found: list[tuple[Any, ...]] = connection.execute(
        "SELECT content FROM entry WHERE number = ?", (number,)
    ).fetchall()
    spoilt = bytearray(found[0][0])
    spoilt[chance.randrange(len(spoilt))] ^= 1 << chance.randrange(8)
    connection.execute("UPDATE entry SET content = ? WHERE number = ?", (bytes(spoilt), number))


def edit_hash(connection: apsw.Connection, chance: random.Random, size: int) -> None:
    """One bit of a tile."""
    tiles: list[tuple[Any, ...]] = connection.execute("SELECT level, number, hashes FROM tile").fetchall()
    level, number, hashes = chance.choice(tiles)
    spoilt = bytearray(hashes)
    spoilt[chance.randrange(len(spoilt))] ^= 1 << chance.randrange(8)
    connection.execute("UPDATE tile SET hashes = ? WHERE level = ? AND number = ?", (bytes(spoilt), level, number))


def edit_checkpoint(connection: apsw.Connection, chance: random.Random, size: int) -> None:
    """One character of what is signed."""
    (text,) = connection.execute("SELECT text FROM checkpoint").fetchone() or ("",)
    at = chance.randrange(len(str(text)) - 1)
    spoilt = str(text)[:at] + ("A" if str(text)[at] != "A" else "B") + str(text)[at + 1 :]
    connection.execute("UPDATE checkpoint SET text = ?", (spoilt,))


def delete(connection: apsw.Connection, chance: random.Random, size: int) -> None:
    """An entry, or one with all behind it moved up."""
    number = chance.randrange(size)
    connection.execute("DELETE FROM entry WHERE number = ?", (number,))
    if chance.random() < 0.5:
        for one in range(number + 1, size):
            connection.execute("UPDATE entry SET number = ? WHERE number = ?", (one - 1, one))
        connection.execute("UPDATE mark SET value = ? WHERE name = 'size'", (size - 1,))


def reorder(connection: apsw.Connection, chance: random.Random, size: int) -> None:
    """Two entries change places."""
    one, two = chance.sample(range(size), 2)
    for old, new in ((one, -1), (two, one), (-1, two)):
        connection.execute("UPDATE entry SET number = ? WHERE number = ?", (new, old))


EDITS: dict[str, Tamper] = {
    "edit": edit,
    "edit of a hash": edit_hash,
    "edit of a checkpoint": edit_checkpoint,
    "deletion": delete,
    "reorder": reorder,
}
