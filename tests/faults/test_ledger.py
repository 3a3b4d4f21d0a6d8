"""The ledger while things go wrong: killed in the middle of appends; a fork shown to a gateway over the real link."""

import asyncio
import random
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import apsw
import pytest

from aggregator.app import App
from aggregator.ledger.book import Book
from aggregator.ledger.policy import majority
from aggregator.ledger.settings import LedgerSettings
from aggregator.ledger.verification import Files, verify
from aggregator.security.registrar import new_token
from edge_agent.sync.enrolment import Registry
from edge_agent.sync.vouching import Vouching
from protos import tls
from protos.clock import SystemClock
from protos.note import Note
from tests.aggregator.ledger.books import AT_NS, ORIGIN
from tests.aggregator.serving import prepare, serving
from tests.edge.sync.gateway import NAME, Gateway, gateway, running

KILLS = 8
WRITER = """
import sys
from pathlib import Path
from aggregator.ledger.book import Book
from tests.aggregator.ledger.books import ORIGIN, rows

book = Book(Path(sys.argv[1]), ORIGIN)
print("ready", flush=True)
while True:
    for _ in range(7):
        book.append([], rows(book.position + 1, 5))
    book.sign(1)
    print(book.position, flush=True)
"""


def test_killed_in_the_middle_of_appends(tmp_path: Path) -> None:
    chance, told, held = random.Random(7), 0, []
    for _ in range(KILLS):
        words = [sys.executable, "-c", WRITER, str(tmp_path)]
        with subprocess.Popen(words, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
            told = max(told, int(process.stdout.readline()))  # a slow machine gets its first checkpoint, too
            time.sleep(chance.uniform(0.01, 0.15))
            process.kill()
            said = process.stdout.read().split()
        told = max(told, *(int(one) for one in said if one), 0) if said else told
        book = Book(tmp_path, ORIGIN)
        assert book.size == book.position, "each batch once"
        assert book.position >= told, "what was said to be there is there"
        newest = book.newest()
        assert newest is not None
        held.append(Note.of(newest.note))
        book.close()
    book = Book(tmp_path, ORIGIN)
    book.sign(AT_NS)
    assert not list(verify(Files(tmp_path), majority(book.verifier, []), held))
    assert told > 100
    book.close()


async def until(reached: Callable[[], bool], seconds: float = 15.0) -> None:
    deadline = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < deadline, "not reached"
        await asyncio.sleep(0.02)


async def witnessing(app: App, state: Path) -> Gateway:
    """An enrolled gateway of this aggregator that is a witness."""
    one = gateway(state)
    one.sync._around.witness = Vouching(state / "witness")
    now = SystemClock().wall_ns()
    secret = new_token(app.catalogue, NAME, 1.0, now, "test")
    address = f"127.0.0.1:{app.ports['enrolment']}"
    token = tls.Token(address, NAME, secret, tls.fingerprint(app.authority.root)).encode()
    await Registry(one.identity, one.time, one.clock).enrol(token, NAME, lambda text: None)
    return one


async def test_gateways_cosign_over_the_link_and_a_fork_is_told_on_both_sides(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config = replace(prepare(tmp_path / "aggregator"), record=LedgerSettings(ORIGIN, checkpoint_s=1.0))
    async with serving(config) as app:
        one = await witnessing(app, tmp_path / "gateway")
        async with running(one):
            await until(lambda: NAME in app.ledger.witnesses)
            app.catalogue.note(1, "ada", "order", NAME, "valve = 1")
            cosigned = app.ledger.witnesses[NAME].size
        assert app.ledger.size >= cosigned > 0
        acts = {row.act for row in app.catalogue.audit()}
        assert {"witness key", "enrol", "enrol-token"} <= acts
    assert not await asyncio.to_thread(lambda: faults(tmp_path / "aggregator"))

    for name in ("ledger.sqlite", "ledger.sqlite-wal", "ledger.sqlite-shm"):
        (tmp_path / "aggregator" / "ledger" / name).unlink(missing_ok=True)
    forge(tmp_path / "aggregator" / "catalogue.sqlite")
    async with serving(config) as app:  # the same key, the past written again
        one = gateway(tmp_path / "gateway")
        witness = one.sync._around.witness = Vouching(tmp_path / "gateway" / "witness")
        one.sync._settings = replace(one.sync._settings, address=f"127.0.0.1:{app.ports['sync']}")
        async with running(one):
            await until(lambda: witness.conflicts > 0)
            await until(lambda: any(row.act == "ledger conflict" for row in app.catalogue.audit()))
        assert one.sync.gauges()["ledger_conflicts"] == 1
    assert any("does not vouch" in record.message for record in caplog.records)
    assert any("contradicts itself" in record.message for record in caplog.records)
    assert any(NAME in one for one in faults(tmp_path / "aggregator"))


def forge(catalogue: Path) -> None:
    """Who may write the file writes the past again."""
    connection = apsw.Connection(str(catalogue))
    connection.execute("DROP TRIGGER audit_stays; UPDATE audit SET actor = 'eve' WHERE number = 1")
    connection.close()


def faults(state: Path) -> list[str]:
    book = Book(state / "ledger", ORIGIN)
    policy = book.policy()
    book.close()
    files = Files(state / "ledger", state / "catalogue.sqlite", state / "log.sqlite")
    return [f"{one.place}: {one.fault}" for one in verify(files, policy)]
