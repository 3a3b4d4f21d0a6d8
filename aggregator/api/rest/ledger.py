"""The ledger: entries and receipts for auditors; checkpoint and tiles for everybody's tools (C2SP tlog-tiles)."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Annotated

import msgspec
from starlette.responses import Response

from aggregator.access.roles import AUDITORS, EVERYONE, VIEWERS
from aggregator.api.items import Items, Paged, utc
from aggregator.api.problem import Fault, Invalid, Unavailable, Unknown
from aggregator.api.route import Call, Route
from aggregator.ledger.book import FILE, policy_of, published, receipt
from aggregator.ledger.policy import Policy
from aggregator.stores import StoreError
from aggregator.stores.ledger import LedgerStore
from protos import tlog

TEXT, BYTES = "text/plain; charset=utf-8", "application/octet-stream"
FOR_EVER = {"cache-control": "private, max-age=31536000, immutable"}
LEVEL_MAX = 63  # what the standard's paths allow


Word = Annotated[str, msgspec.Meta(max_length=200)]


class Wanted(Paged, frozen=True):
    """`kind` as order, approval, batch; `subject`: whom or what it is about."""

    kind: Word = ""
    subject: Word = ""


class EntryItem(msgspec.Struct, frozen=True):
    """`content` is the canonical JSON that is hashed, as it is."""

    index: int
    kind: str
    subject: str
    content: str


class WitnessItem(msgspec.Struct, frozen=True):
    """`against`: what it says against us."""

    name: str
    key: str
    size: int
    cosigned: str
    against: list[str]


@contextmanager
def opened(call: Call) -> Iterator[tuple[LedgerStore, Policy]]:
    """Raises Unavailable where there is no ledger yet."""
    config = call.parts.config
    try:
        policy = policy_of(config.ledger, Path(config.record.policy) if config.record.policy else None)
        with closing(LedgerStore(config.ledger / FILE, read_only=True)) as store:
            yield store, policy
    except StoreError as error:
        raise Unavailable(str(error)) from error


def entries(call: Call) -> Items[EntryItem]:
    asked = call.query
    after = -1 if asked.place is None else asked.place
    with opened(call) as (store, _):
        rows = store.find(after, asked.limit, asked.kind, asked.subject)
    items = [EntryItem(one.number, one.kind, one.subject, one.content.decode()) for one in rows]
    return Items(items, str(rows[-1].number) if len(rows) == asked.limit else None)


def witnesses(call: Call) -> Items[WitnessItem]:
    with opened(call) as (store, _):
        against = store.evidence()
        rows = store.witnesses()
    return Items(
        [
            WitnessItem(one.name, one.vkey, one.size, utc(one.at_ns), [no.why for no in against if no.who == one.name])
            for one in rows
        ]
    )


def checkpoint(call: Call) -> Response:
    with opened(call) as (store, policy):
        found = published(store, policy)
    if found is None:
        raise Unavailable("no checkpoint yet: the first is signed a second after the start")
    return Response(found.note, media_type=TEXT, headers={"cache-control": "no-cache"})


def receipts(call: Call) -> Response:
    index = number_of(call.path["index"], "index")
    with opened(call) as (store, policy):
        try:
            told = receipt(store, published(store, policy), index).text
        except StoreError as error:
            raise Unknown(str(error)) from error
    return Response(told, media_type=TEXT)


def tile(call: Call) -> Response:
    """Hashes of a tile; of one that has grown since, its beginning."""
    level = number_of(call.path["level"], "level")
    index, width = place_of(call.path["place"])
    with opened(call) as (store, _):
        hashes = store.tile(level, index)[: width * tlog.HASH] if level <= LEVEL_MAX else b""
    if len(hashes) < width * tlog.HASH:
        raise Unknown("no such tile in the tree")
    return Response(hashes, media_type=BYTES, headers=FOR_EVER)


def bundle(call: Call) -> Response:
    index, width = place_of(call.path["place"])
    first = index * tlog.WIDTH
    with opened(call) as (store, _):
        if first + tlog.WIDTH <= store.marks().minimum:
            raise Unknown(f"pruned: entries are kept from {store.marks().minimum} on")
        found = store.entries(first, width)
    if len(found) < width:
        raise Unknown("no such bundle in the tree")
    return Response(tlog.bundle([one.content for one in found]), media_type=BYTES, headers=FOR_EVER)


def number_of(text: str, name: str) -> int:
    """Raises Invalid."""
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise Invalid(f"{name}: a number", [Fault(name, "write a number", text)])
    return int(text)


def place_of(text: str) -> tuple[int, int]:
    """(index, width). Raises Unknown: another spelling is another path."""
    try:
        return tlog.parse_place(text)
    except ValueError as error:
        raise Unknown(str(error)) from error


API = "/api/v1/ledger"
ROUTES = (
    Route("GET", f"{API}/entries", entries, AUDITORS, "What is written", query=Wanted, answer=Items[EntryItem]),
    Route("GET", f"{API}/witnesses", witnesses, VIEWERS, "Who vouches for it", answer=Items[WitnessItem]),
    Route("GET", f"{API}/receipt/{{index}}", receipts, AUDITORS, "The proof of one entry", media=TEXT),
    Route("GET", f"{API}/checkpoint", checkpoint, EVERYONE, "The newest that a quorum cosigned", media=TEXT),
    Route("GET", "/ledger/checkpoint", checkpoint, EVERYONE, "The same, for tools (C2SP tlog-tiles)", media=TEXT),
    Route("GET", "/ledger/tile/entries/{place:path}", bundle, AUDITORS, "A bundle of entries", media=BYTES),
    Route("GET", "/ledger/tile/{level}/{place:path}", tile, VIEWERS, "A tile of hashes", media=BYTES),
)
