"""The live stream: one WebSocket a viewer. Numbers of the twin as binary frames, encoded once for all viewers; for
everything else, that there is news.

A client says {"watch": ["state:traffic", "alarms", "decisions", "fleet", "points:gw/device/point", …]}. It hears

    text     {"event": "alarms"}: ask REST again; {"event": "points", "values": {name: [value, code, t]}}
    binary   u8 version = 1, u8 domain (its place in GET /api/v1/city), u16 0, u32 step, f64 t (s since 1970), u32
             count, then count × u32 column, count × f32 mean, count × f32 sd; little-endian. First all columns, then
             those that have moved visibly.

A viewer who takes too little too late loses what waits, and begins anew with whole pictures: nobody waits for it.
"""

import asyncio
import struct
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
from starlette.websockets import WebSocket, WebSocketDisconnect

from aggregator.access.roles import VIEWERS
from aggregator.api.gate import same_site
from aggregator.api.parts import Parts
from aggregator.api.problem import Problem
from aggregator.api.route import Gate
from aggregator.stores.city import Picture

NS = 1_000_000_000
LOOK_NS = NS // 4  # how often it is looked whether there is news
AGAIN_NS = 15 * NS  # how often it is asked whether a viewer may still look: after a sign-out, or another role
HEAD = struct.Struct("<BBHIdI")
VERSION = 1
VISIBLE = 0.02  # of a standard deviation: a smaller move nobody sees
WAITING_MAX = 64  # messages for one viewer: ten seconds of a busy city
VIEWERS_MAX = 500
WATCHED_MAX = 500  # topics of one viewer
MESSAGE_MAX = 64 << 10  # bytes that a viewer may send at once
DENIED, CROWDED, FAULTY = 4401, 4429, 4400  # close codes of our own (RFC 6455 §7.4.2)
EVENTS = ("alarms", "decisions", "fleet")

Message = bytes | str


class Wish(msgspec.Struct, frozen=True):
    watch: list[str]


@dataclass(eq=False)
class Viewer:
    """What one viewer watches, and what waits for it."""

    topics: frozenset[str] = frozenset()
    waiting: deque[Message] = field(default_factory=deque)
    news: asyncio.Event = field(default_factory=asyncio.Event)
    behind: bool = False  # what waited was dropped: it begins anew

    @property
    def points(self) -> list[str]:
        return [one.removeprefix("points:") for one in self.topics if one.startswith("points:")]

    def tell(self, message: Message) -> None:
        if len(self.waiting) >= WAITING_MAX:
            self.waiting.clear()
            self.behind = True
        self.waiting.append(message)
        self.news.set()


class Hub:
    """Looks for news, and tells them to whoever watches. `run` until cancelled; `serve` for each viewer."""

    def __init__(self, parts: Parts, gate: Gate) -> None:
        self._parts, self._gate = parts, gate
        self.viewers: set[Viewer] = set()
        self._told: dict[str, Picture] = {}
        self._versions: dict[str, object] = {}
        self._samples = 0

    async def run(self) -> None:
        clock = self._parts.clock
        while True:
            if self.viewers:
                self.look()
            await clock.sleep_until(clock.monotonic_ns() + LOOK_NS)

    def look(self) -> None:
        """One look: pictures that moved, events, samples of watched points."""
        for name, picture in self._pictures().items():
            before = self._told.get(name)
            if before is None or picture.k != before.k or picture.x is not before.x:
                self._told[name] = picture
                self._show(name, picture, before)
        for event, version in self._now().items():
            if self._versions.get(event, version) != version:
                self._tell(event, msgspec.json.encode({"event": event}).decode())
            self._versions[event] = version
        if (changes := self._parts.latest.changes) != self._samples:
            self._samples = changes
            for viewer in self.viewers:
                if viewer.points:
                    viewer.tell(self._values(viewer.points))

    def _pictures(self) -> Mapping[str, Picture]:
        return self._parts.city.pictures if self._parts.city is not None else {}

    def _now(self) -> dict[str, object]:
        """What stands for everything that an event is about: another one is news."""
        parts = self._parts
        with parts.catalogue() as catalogue:
            decided = catalogue.newest_audit()
        found: dict[str, object] = {"decisions": decided, "fleet": parts.fleet.versions()}
        if parts.city is not None:
            found["alarms"] = parts.city.alarms_told
        return found

    def _show(self, name: str, picture: Picture, before: Picture | None) -> None:
        """The same bytes to all who watch; whole to those who begin."""
        watching = [one for one in self.viewers if f"state:{name}" in one.topics]
        if not watching:
            return
        number = self._parts.atlas.domains.index(name)
        message = frame(number, picture, moved(picture, before))
        for viewer in watching:
            if viewer.behind:
                viewer.behind = False
                for one in self.whole(viewer):
                    viewer.tell(one)
            else:
                viewer.tell(message)

    def whole(self, viewer: Viewer) -> list[Message]:
        """Everything that it watches, as it is."""
        found: list[Message] = []
        for number, name in enumerate(self._parts.atlas.domains if self._parts.city is not None else ()):
            picture = self._pictures().get(name)
            if picture is not None and f"state:{name}" in viewer.topics:
                found.append(frame(number, picture, np.arange(len(picture.x), dtype=np.uint32)))
        if viewer.points:
            found.append(self._values(viewer.points))
        return found

    def _values(self, names: list[str]) -> str:
        newest = self._parts.newest(names)
        values: dict[str, Any] = {
            name: [one.value if np.isfinite(one.value) else None, one.code, one.source_ns / NS]
            for name, one in newest.items()
        }
        return msgspec.json.encode({"event": "points", "values": values}).decode()

    def _tell(self, topic: str, message: str) -> None:
        for viewer in self.viewers:
            if topic in viewer.topics:
                viewer.tell(message)

    # ---- one viewer

    async def serve(self, socket: WebSocket) -> None:
        """The endpoint."""
        await socket.accept()
        if not same_site(socket) or not await self._may(socket):
            await socket.close(DENIED, "sign in first")
            return
        if len(self.viewers) >= VIEWERS_MAX:
            await socket.close(CROWDED, f"{VIEWERS_MAX} viewers are here already")
            return
        viewer = Viewer()
        self.viewers.add(viewer)
        beside = [asyncio.create_task(self._send(socket, viewer)), asyncio.create_task(self._guard(socket))]
        try:
            await self._hear(socket, viewer)
        finally:
            self.viewers.discard(viewer)
            for one in beside:
                one.cancel()
            await asyncio.wait(beside)

    async def _may(self, socket: WebSocket) -> bool:
        try:
            return (await self._gate.who(socket)).role in VIEWERS
        except Problem:
            return False

    async def _guard(self, socket: WebSocket) -> None:
        """Close it once whoever looks may no longer."""
        clock = self._parts.clock
        while await self._may(socket):
            await clock.sleep_until(clock.monotonic_ns() + AGAIN_NS)
        await socket.close(DENIED, "signed out")

    async def _hear(self, socket: WebSocket, viewer: Viewer) -> None:
        """Take wishes until it goes."""
        while True:
            try:
                text = await socket.receive_text()
                wish = msgspec.json.decode(text[:MESSAGE_MAX], type=Wish)
            except WebSocketDisconnect:
                return
            except (msgspec.DecodeError, KeyError) as error:
                await socket.close(FAULTY, f'send {{"watch": […]}}: {error}'[:120])
                return
            if len(wish.watch) > WATCHED_MAX or (wrong := [one for one in wish.watch if not known(one)]):
                told = f"no topic {wrong[0]}" if len(wish.watch) <= WATCHED_MAX else f"at most {WATCHED_MAX} topics"
                await socket.close(FAULTY, told[:120])
                return
            viewer.topics = frozenset(wish.watch)
            for one in self.whole(viewer):
                viewer.tell(one)

    async def _send(self, socket: WebSocket, viewer: Viewer) -> None:
        while True:
            await viewer.news.wait()
            viewer.news.clear()
            while viewer.waiting:
                message = viewer.waiting.popleft()
                await (socket.send_bytes(message) if isinstance(message, bytes) else socket.send_text(message))


def known(topic: str) -> bool:
    kind, _, rest = topic.partition(":")
    return topic in EVENTS or (kind == "state" and bool(rest)) or (kind == "points" and rest.count("/") == 2)


def moved(now: Picture, before: Picture | None) -> npt.NDArray[np.uint32]:
    """Columns that somebody could see move."""
    if before is None or len(before.x) != len(now.x):
        return np.arange(len(now.x), dtype=np.uint32)
    least = VISIBLE * np.maximum(now.sd, before.sd)
    far = (np.abs(now.x - before.x) > least) | (np.abs(now.sd - before.sd) > least)
    return np.flatnonzero(far).astype(np.uint32)


def frame(domain: int, picture: Picture, columns: npt.NDArray[np.uint32]) -> bytes:
    head = HEAD.pack(VERSION, domain, 0, picture.k & 0xFFFFFFFF, picture.t_ns / NS, len(columns))
    return (
        head
        + columns.astype("<u4").tobytes()
        + picture.x[columns].astype("<f4").tobytes()
        + picture.sd[columns].astype("<f4").tobytes()
    )
