"""The ledger over HTTP: tiles and checkpoint as tools read them, receipts, entries; who may, and what is not there."""

import asyncio

import pytest

from aggregator.access.roles import Role
from aggregator.ledger.receipt import Receipt
from protos import tlog
from protos.note import Head, Note
from tests.aggregator.api.desk import Desk

AUDITS = 300


@pytest.fixture
async def kept(desk: Desk) -> Desk:
    """With more than a bundle of entries under a checkpoint."""
    for number in range(AUDITS):
        desk.app.catalogue.note(1, "ada", "order", "gw-a", f"valve = {number}")
    desk.token(Role.AUDITOR), desk.token(Role.VIEWER)
    while desk.app.ledger.size < AUDITS or await desk.app.ledger.take():
        await asyncio.sleep(0.01)
    await desk.app.ledger.sign()
    return desk


async def test_a_tool_reads_the_whole_log(kept: Desk) -> None:
    auditor = kept.session(Role.AUDITOR)
    told = await kept.ask("GET", "/ledger/checkpoint")
    assert told.headers["content-type"] == "text/plain; charset=utf-8"
    head = Head.of(Note.of(told.content).text)
    assert head.size >= AUDITS
    leaves = []
    for one in tlog.tiles(head.size):
        hashes = await kept.ask("GET", f"/ledger/{one.path}", auditor)
        assert (hashes.status_code, len(hashes.content)) == (200, one.width * tlog.HASH)
        assert hashes.headers["content-type"] == "application/octet-stream"
        if one.level:
            continue
        bundle = (await kept.ask("GET", f"/ledger/tile/entries/{tlog.place(one.index, one.width)}", auditor)).content
        while bundle:
            size = int.from_bytes(bundle[:2], "big")
            leaves.append(tlog.leaf_hash(bundle[2 : 2 + size]))
            bundle = bundle[2 + size :]
        assert b"".join(leaves[one.index * tlog.WIDTH :]) == hashes.content
    assert len(leaves) == head.size


async def test_a_receipt_that_verifies(kept: Desk) -> None:
    auditor = kept.session(Role.AUDITOR)
    told = await kept.ask("GET", "/api/v1/ledger/receipt/17", auditor)
    book = kept.app.ledger._book
    Receipt.of(told.content).check(book.policy())
    assert (await kept.ask("GET", "/api/v1/ledger/receipt/99999", auditor)).status_code == 404
    assert (await kept.ask("GET", "/api/v1/ledger/receipt/x", auditor)).status_code == 400


async def test_entries_by_kind_and_page(kept: Desk) -> None:
    auditor = kept.session(Role.AUDITOR)
    page = (await kept.ask("GET", "/api/v1/ledger/entries?kind=order&subject=gw-a&limit=200", auditor)).json()
    assert len(page["items"]) == 200
    rest = (await kept.ask("GET", f"/api/v1/ledger/entries?kind=order&after={page['next']}", auditor)).json()
    assert len(rest["items"]) == 100
    assert '"actor":"ada"' in rest["items"][0]["content"]
    assert (await kept.ask("GET", "/api/v1/ledger/witnesses", auditor)).json() == {"items": [], "next": None}


@pytest.mark.parametrize(
    "path", ["tile/0/1000", "tile/0/0", "tile/9/000", "tile/0/999", "tile/0/000.p/0", "tile/entries/x"]
)
async def test_other_spellings_and_places_are_not_there(kept: Desk, path: str) -> None:
    assert (await kept.ask("GET", f"/ledger/{path}", kept.session(Role.AUDITOR))).status_code == 404
