"""The live stream: frames that are whole, then only what moved; nobody waits for a slow viewer; a sign-out ends it."""

import asyncio
import struct
from typing import cast

import numpy as np
import pytest
from starlette.websockets import WebSocket

from aggregator.access.roles import Role
from aggregator.api.parts import Parts
from aggregator.api.route import NOBODY, Identity
from aggregator.api.stream import AGAIN_NS, HEAD, VISIBLE, WAITING_MAX, Hub, Viewer, frame, known, moved
from aggregator.stores.city import Picture
from protos.clock import SteppedClock


def picture(k: int, x: list[float], sd: float = 1.0) -> Picture:
    values = np.array(x, np.float32)
    return Picture(k, 10_000_000_000, values, np.full_like(values, sd))


def test_a_frame_says_what_it_is() -> None:
    data = frame(2, picture(7, [1.0, 2.0, 3.0]), np.array([0, 2], np.uint32))
    assert HEAD.unpack_from(data) == (1, 2, 0, 7, 70.0, 2)
    assert struct.unpack_from("<2I2f2f", data, HEAD.size) == (0, 2, 1.0, 3.0, 1.0, 1.0)


def test_only_what_somebody_could_see_move_is_sent() -> None:
    before = picture(1, [1.0, 2.0, 3.0])
    after = picture(2, [1.0 + 0.5 * VISIBLE, 2.0 + 2 * VISIBLE, 3.0])
    assert moved(after, before).tolist() == [1]
    assert moved(picture(2, [1.0, 2.0, 3.0], sd=1.5), before).tolist() == [0, 1, 2], "doubt is seen as well"
    assert moved(after, None).tolist() == [0, 1, 2]


def test_a_slow_viewer_loses_what_waits_and_begins_anew() -> None:
    viewer = Viewer()
    for number in range(WAITING_MAX):
        viewer.tell(str(number))
    assert not viewer.behind
    viewer.tell("one more")
    assert viewer.behind
    assert list(viewer.waiting) == ["one more"]


@pytest.mark.parametrize("topic", ["alarms", "state:traffic", "points:gw/meter/power"])
def test_topics(topic: str) -> None:
    assert known(topic)


@pytest.mark.parametrize("topic", ["", "state:", "points:gw", "everything", "points:a/b/c/d"])
def test_what_is_no_topic(topic: str) -> None:
    assert not known(topic)


class Door:
    """A gate that lets in until it is shut."""

    role = Role.VIEWER

    async def who(self, connection: object) -> Identity:
        return Identity("mei", self.role, "session") if self.role is not Role.PUBLIC else NOBODY

    def check_unsafe(self, request: object, who: Identity) -> None:
        return


class Socket:
    code = 0

    async def close(self, code: int, reason: str) -> None:
        self.code = code


class Clocked:
    def __init__(self, clock: SteppedClock) -> None:
        self.clock = clock


async def test_a_sign_out_ends_the_stream() -> None:
    clock, door, socket = SteppedClock(), Door(), Socket()
    hub = Hub(cast(Parts, Clocked(clock)), door)
    guard = asyncio.create_task(hub._guard(cast(WebSocket, socket)))
    await clock.advance(3 * AGAIN_NS)
    assert not guard.done()
    door.role = Role.PUBLIC
    await clock.advance(AGAIN_NS)
    await guard
    assert socket.code == 4401
