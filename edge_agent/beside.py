"""What the gateway offers the controllers beside it, as work for the agent's supervisor: Modbus, MQTT, gRPC; and
the door for a person's hand.

None of it is waited for by anybody: a port that is taken or a broker that is away costs a line in the log.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from edge_agent.config import Gateway
from edge_agent.local import door, hands, modbus, mqtt
from edge_agent.snapshot import Snapshot
from protos.clock import NS, Clock

log = logging.getLogger(__name__)
Work = Callable[[], Awaitable[object]]


@dataclass(eq=False)
class Beside:
    """`newest` gives the newest tick, `hands` what takes a person's word, `tell` publishes to a broker by its name."""

    config: Gateway
    newest: Callable[[], Snapshot | None]
    hands: Callable[[], hands.Hands | None]
    tell: Callable[[str, str, bytes], Awaitable[bool]]
    clock: Clock
    _gauges: dict[str, Callable[[], Mapping[str, float]]] = field(default_factory=dict)

    def works(self) -> Mapping[str, Work]:
        """By name, what is to be kept running; each runs until it is cancelled, or raises OSError."""
        local = self.config.local
        found: dict[str, Work] = {"local hand": self._hand}
        if local.modbus.listen:
            found["local modbus"] = self._modbus
        if local.mqtt.broker:
            found["local mqtt"] = self._mqtt
        if local.socket is not None:
            found["local grpc"] = self._grpc
        return found

    def gauges(self) -> dict[str, float]:
        return {f"{part}_{name}": value for part, ask in self._gauges.items() for name, value in ask().items()}

    async def _hand(self) -> None:
        async def answer(request: Mapping[str, Any], body: bytes) -> Mapping[str, object]:
            return hands.answer(self.hands(), request, self.clock.monotonic_ns())

        async with door.serve(self.config.state_dir, hands.SOCKET, answer, 0):
            await asyncio.Event().wait()

    async def _modbus(self) -> None:
        place = self.config.local.modbus
        async with modbus.serve(place.listen, place.heartbeat_s, self.newest, self.clock) as server:
            log.info("Modbus for local controllers on port %d", server.port)
            self._gauges["modbus"] = server.gauges
            await asyncio.Event().wait()

    async def _mqtt(self) -> None:
        place = self.config.local.mqtt
        news = mqtt.News(place.root, int(place.least_s * NS), int(place.most_s * NS))
        self._gauges["mqtt"] = lambda: {"published_total": news.published_total}

        async def publish(topic: str, payload: bytes) -> bool:
            return await self.tell(place.broker, topic, payload)

        await mqtt.run(publish, self.newest, self.clock, news)

    async def _grpc(self) -> None:
        from edge_agent.local import stream  # late: its server takes 3 MiB, which most gateways do without

        socket = self.config.local.socket
        assert socket is not None
        async with stream.serve(socket, self.newest, self.hands, self.clock):
            await asyncio.Event().wait()
