"""What is written into the ledger: one line of canonical JSON (RFC 8785) for an audit row or for a batch's digest.

The same row always gives the same bytes, so that entries can be derived again from the data. Numbers that a double
cannot hold are written as texts, as RFC 8785 advises; there are no fractions.
"""

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import NamedTuple

from aggregator.stores import Row
from aggregator.stores.catalogue import Audit

NS = 1_000_000_000
TEXT_MAX = 10_000  # characters as they are; of what is longer its digest: an entry has at most 65,535 bytes
WHOLE_MAX = 2**53 - 1  # what every reader of JSON takes as it is
VERSION = 1
BATCH = "batch"
KINDS = (  # kind, and the words by which an act is known; the first row that fits
    ("ledger", "ledger", "witness"),
    ("alarm", "alarm"),
    ("order", "order", "all-stop"),
    ("rollout", "rollout", "wave", "pause", "resume", "abort"),
    ("model", "model", "bundle", "train"),
    ("correction", "correct", "replay", "restore", "smooth", "rebuild"),
    ("configuration", "config", "points"),
    ("access", "user", "token", "sign", "invite", "welcome", "role", "enrol", "renew", "revoke", "recover", "stream"),
    ("access", "init", "password"),
    ("approval", "approve", "reject"),
    (
        "decision",
        "propose",
        "take back",
        "dispatch",
        "decision",
        "halt",
        "expire",
        "effective",
        "withdraw",
        "look after",
    ),
)


class Entry(NamedTuple):
    """`content` goes into the tree; kind and subject are for finding it."""

    kind: str
    subject: str
    content: bytes


def of_audit(row: Audit) -> Entry:
    kind = kind_of(row.act)
    told: dict[str, str | int] = {
        "act": short(row.act),
        "actor": short(row.actor),
        "at": utc(row.at_ns),
        "detail": short(row.detail),
        "kind": kind,
        "number": row.number,
        "subject": short(row.subject),
        "v": VERSION,
    }
    return Entry(kind, str(told["subject"]), canonical(told))


def of_batch(row: Row) -> Entry:
    """The digest of a batch as it lies in the log, never what it says."""
    told: dict[str, str | int] = {
        "at": utc(row.received_ns),
        "bytes": len(row.blob),
        "epoch": str(row.epoch),
        "gateway": row.gateway,
        "kind": BATCH,
        "position": row.position,
        "readings": row.readings,
        "sequence": str(row.sequence),
        "sha256": hashlib.sha256(row.blob).hexdigest(),
        "v": VERSION,
    }
    return Entry(BATCH, row.gateway, canonical(told))


def kind_of(act: str) -> str:
    """The kind of an audited act, `other` where no word tells."""
    said = act.lower()
    return next((row[0] for row in KINDS if any(word in said for word in row[1:])), "other")


def canonical(told: Mapping[str, str | int]) -> bytes:
    """RFC 8785 of texts and whole numbers under plain ASCII names. Raises ValueError for anything else."""
    for name, value in told.items():
        if not name.isascii() or (isinstance(value, int) and abs(value) > WHOLE_MAX):
            raise ValueError(f"{name} = {value!r}: write it as a text")
    return json.dumps(told, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def short(text: str) -> str:
    """As it is, or its digest; what is no text in UTF-8 shows a question mark."""
    plain = text.encode(errors="replace").decode()
    return plain if len(plain) <= TEXT_MAX else f"sha256:{hashlib.sha256(plain.encode()).hexdigest()}"


def utc(ns: int) -> str:
    """RFC 3339 with all nine digits."""
    seconds, rest = divmod(ns, NS)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:09d}Z"
