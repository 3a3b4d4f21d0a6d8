"""Checkpoints of the ledger to the gateways, and their cosignatures back: each gateway is a witness.

A gateway is shown a checkpoint with the proof that it extends the one it cosigned last. It answers with its
cosignature, or with what it holds, to be led on from there, or with a conflict, which is evidence and an alarm.
"""

import hashlib
import logging
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from aggregator.ingest.line import Line
from aggregator.ingest.streams import Streams
from aggregator.stores.ledger import Signed, Witness
from protos import sync_pb2
from protos.clock import NS, Clock
from protos.tlog import ProofError

LOOK_NS = NS
SHOWN_EVERY = 20  # heartbeats between two checkpoints for one gateway: a metered link gets few
HEARD_MAX = 10_000  # answers that wait; beyond, the oldest goes: it comes again with the next checkpoint
REMEMBERED = 16  # checkpoints that an answer may still be about
HELD_MAX = 64 << 10  # bytes of a checkpoint that a gateway holds against us
WHY_MAX = 200

Note = Callable[[int, str, str, str, str], None]  # audit: when, who, what, about whom, detail

log = logging.getLogger(__name__)


class Ledger(Protocol):
    """What the ledger gives."""

    @property
    def newest(self) -> Signed | None: ...
    @property
    def vkey(self) -> str: ...
    @property
    def origin(self) -> str: ...
    @property
    def witnesses(self) -> Mapping[str, Witness]: ...
    async def proof(self, old: int, size: int) -> list[bytes]: ...
    async def cosign(self, signed: Signed, given: Sequence[tuple[str, str, bytes]]) -> list[str]: ...
    async def accuse(self, who: str, why: str, note: bytes) -> bool: ...


@dataclass(slots=True)
class Shown:
    """What one stream has seen. `asked`: it was led on from elsewhere already."""

    line: Line
    size: int
    at_ns: int
    asked: bool = False


class Notary:
    """`heard` is called for each answer, on the loop; `run` does the rest."""

    def __init__(self, streams: Streams, ledger: Ledger, note: Note, clock: Clock) -> None:
        self._streams, self._ledger, self._note, self._clock = streams, ledger, note, clock
        self._heard: deque[tuple[str, sync_pb2.Cosignature]] = deque(maxlen=HEARD_MAX)
        self._shown: dict[str, Shown] = {}
        self._recent: dict[bytes, Signed] = {}

    def heard(self, gateway: str, answer: sync_pb2.Cosignature) -> None:
        self._heard.append((gateway, answer))

    async def run(self) -> None:
        while True:
            await self.tick()
            await self._clock.sleep_until(self._clock.monotonic_ns() + LOOK_NS)

    async def tick(self) -> None:
        """Take in what was answered, and show what is new."""
        given: dict[bytes, list[tuple[str, str, bytes]]] = {}
        for gateway, answer in [self._heard.popleft() for _ in range(len(self._heard))]:
            if answer.conflict:
                await self._accused(gateway, answer)
            elif answer.signature:
                given.setdefault(answer.checkpoint_digest, []).append((gateway, answer.vkey, answer.signature))
            else:
                await self._lead_on(gateway, answer.held_size)
        for digest, those in given.items():
            await self._cosigned(digest, those)
        await self._show()

    async def _show(self) -> None:
        newest, now = self._ledger.newest, self._clock.monotonic_ns()
        for line in self._streams if newest is not None else ():
            before = self._shown.get(line.gateway)
            same = before is not None and before.line is line
            rests = same and before is not None and now - before.at_ns < SHOWN_EVERY * line.heartbeat_ns
            seen = same and before is not None and newest is not None and before.size >= newest.size
            if newest is not None and line.greeted and line.end_reason is None and not (rests or seen):
                known = self._ledger.witnesses.get(line.gateway)
                self._shown[line.gateway] = Shown(line, newest.size, now)
                await self._send(line, newest, known.size if known else 0)

    async def _lead_on(self, gateway: str, held_size: int) -> None:
        shown, newest = self._shown.get(gateway), self._ledger.newest
        if shown is None or newest is None or shown.asked or shown.line.end_reason is not None:
            return
        shown.asked, shown.size = True, newest.size
        await self._send(shown.line, newest, held_size)

    async def _send(self, line: Line, signed: Signed, old: int) -> None:
        try:
            proof = await self._ledger.proof(old, signed.size)
        except ProofError:  # it cosigned more than there is: it will say so, with what it holds
            old, proof = 0, []
        digest = hashlib.sha256(signed.text.encode()).digest()
        self._recent[digest] = signed
        while len(self._recent) > REMEMBERED:
            del self._recent[next(iter(self._recent))]
        note = (signed.text + "\n" + signed.lines[0]).encode()  # the log's own signature is enough for a witness
        message = sync_pb2.Checkpoint(note=note, consistency=proof, old_size=old, vkey=self._ledger.vkey)
        line.say(sync_pb2.ToGateway(checkpoint=message))

    async def _cosigned(self, digest: bytes, those: Sequence[tuple[str, str, bytes]]) -> None:
        signed, now = self._recent.get(digest), self._clock.wall_ns()
        if signed is None:
            return
        own = [(who, vkey, one) for who, vkey, one in those if vkey.startswith(f"{self._ledger.origin}/witness/{who}+")]
        for who, vkey, _ in own:
            known = self._ledger.witnesses.get(who)
            if known is None or known.vkey != vkey:
                self._note(now, who, "witness key", who, vkey[:WHY_MAX])
        for fault in await self._ledger.cosign(signed, own):
            log.warning("cosignature refused: %s", fault)

    async def _accused(self, gateway: str, answer: sync_pb2.Cosignature) -> None:
        why = answer.conflict[:WHY_MAX]
        if await self._ledger.accuse(gateway, why, answer.held_note[:HELD_MAX]):
            log.error("%s does not vouch for the ledger: %s", gateway, why)
            self._note(self._clock.wall_ns(), gateway, "ledger conflict", gateway, why)
