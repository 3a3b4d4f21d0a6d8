"""Sends the letters of the outbox (5.8.6) over HTTP and MQTT, each subscription's in order; asks anew at intervals.

A letter leaves the outbox when its receiver has taken it, or after the last attempt. One that was sent and not yet
crossed off when the process died is sent again: its notification has the same id.
"""

import asyncio
import json
import logging
import ssl
from collections.abc import Mapping
from urllib.parse import unquote, urlsplit

import aiomqtt
import httpx

from aggregator.api.ngsi import notices, registering, subscription, times
from aggregator.api.ngsi.broker import Broker, Room
from aggregator.api.ngsi.errors import Problem
from aggregator.api.ngsi.times import NS
from aggregator.api.ngsi.watching import Watch
from aggregator.api.ngsi.words import Json
from aggregator.stores.ngsi_outbox import Letter

LOG = logging.getLogger(__name__)
AT_ONCE = 32  # letters on their way
TIMEOUT_S = 10.0
TIMEOUT_MAX_S = 60.0
RETRY_NS = (NS, 5 * NS, 30 * NS, 120 * NS)  # after each failure, once more; then the letter is given up
IDLE_NS = 60 * NS  # the longest sleep: what another process changed is seen by then
TAKEN = range(200, 300)


class Sender:
    """One part of the service: `run` until cancelled."""

    def __init__(self, broker: Broker) -> None:
        self.broker = broker
        self._news = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        broker.wake = self._wake

    def _wake(self) -> None:
        """From any thread."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._news.set)

    async def run(self) -> None:
        self._loop = asyncio.get_running_loop()
        async with httpx.AsyncClient(follow_redirects=False, trust_env=False) as client:
            while True:
                self._news.clear()
                until_ns = await self._round(client)
                wait_s = max(0.0, min(until_ns - self.broker.now_ns, IDLE_NS) / NS)
                try:
                    async with asyncio.timeout(wait_s):
                        await self._news.wait()
                except TimeoutError:
                    continue

    async def _round(self, client: httpx.AsyncClient) -> int:
        """Send what is due; until when nothing more is."""
        next_ns = await self.broker.work(self.ask_again)
        letters = await self.broker.work(self.broker.outbox.due, self.broker.now_ns, AT_ONCE)
        if letters:
            async with asyncio.TaskGroup() as group:
                for one in letters:
                    group.create_task(self._deliver(client, one))
            return self.broker.now_ns
        waiting = await self.broker.work(self.broker.outbox.next_ns)
        return min(one for one in (next_ns, waiting, self.broker.now_ns + IDLE_NS) if one is not None)

    def ask_again(self) -> int | None:
        """Letters of subscriptions with a timeInterval; when the next is due."""
        now, dues = self.broker.now_ns, []
        for kind in ("subscription", "csubscription"):
            for tenant, kept in self.broker.store.documents(kind):
                if "due_ns" not in kept or subscription.status(kept, now) != "active":
                    continue
                if kept["due_ns"] <= now:
                    step = max(1, int(kept["timeInterval"] * NS))
                    kept["due_ns"] += (1 + (now - kept["due_ns"]) // step) * step
                    self._periodic(kind, tenant, kept)
                dues.append(kept["due_ns"])
        return min(dues, default=None)

    def _periodic(self, kind: str, tenant: str, kept: Json) -> None:
        room = Room(self.broker, tenant)
        with room.transaction():
            room.store.put_document(kind, tenant, kept["id"], kept)
            try:
                if kind == "csubscription":
                    registering.announce_first(room, kept)
                    return
                watch = Watch.of(kept, self.broker.contexts, room.entity)
            except Problem as error:
                LOG.warning("subscription %s cannot be asked: %s", kept["id"], error.detail)
                return
            found = [one for one in room.find(watch.chosen) if watch.fits(one)]
            if found:
                data = watch.linking.show(found, watch.view)
                now = times.text(self.broker.now_ns)
                room.post(watch, notices.entity_letter(watch, tenant, found, data, now))

    async def _deliver(self, client: httpx.AsyncClient, letter: Letter) -> None:
        content = letter.content
        limit_s = min((content.get("timeout_ms") or TIMEOUT_S * 1000) / 1000, TIMEOUT_MAX_S)
        try:
            async with asyncio.timeout(limit_s):
                if urlsplit(content["uri"]).scheme.startswith("mqtt"):
                    await publish(content)
                else:
                    await send(client, content)
        except (httpx.HTTPError, httpx.InvalidURL, aiomqtt.MqttError, OSError, TimeoutError, ValueError) as error:
            why = str(error) or type(error).__name__
            await self.broker.work(self.failed, letter, why)
        else:
            await self.broker.work(self.taken, letter)

    def taken(self, letter: Letter) -> None:
        with self.broker.store.transaction():
            self.broker.outbox.drop([letter.number])
            if letter.kind != "snapshot":
                now = times.text(self.broker.now_ns)
                self.broker.book(letter.kind, letter.tenant, letter.subscription, lastSuccess=now, status="ok")

    def failed(self, letter: Letter, why: str) -> None:
        """Later again, after the endpoint's cooldown at least; given up after the last attempt."""
        now = self.broker.now_ns
        LOG.info("notification for %s not taken (attempt %d): %s", letter.subscription, letter.attempts + 1, why)
        pause = int(letter.content.get("cooldown_ms") or 0) * 1_000_000
        with self.broker.store.transaction():
            if letter.attempts < len(RETRY_NS):
                due = now + max(pause, RETRY_NS[letter.attempts])
                self.broker.outbox.later(letter.number, due, letter.attempts + 1)
            else:
                self.broker.outbox.drop([letter.number])
            if letter.kind != "snapshot":
                books = {"timesFailed": 1, "lastFailure": times.text(now), "status": "failed"}
                self.broker.book(letter.kind, letter.tenant, letter.subscription, **books)


async def send(client: httpx.AsyncClient, content: Json) -> None:
    """Raises httpx.HTTPError for every answer that is no success."""
    headers = {name: value.encode("utf-8") for name, value in content["headers"].items()}
    body = json.dumps(content["body"], ensure_ascii=False, separators=(",", ":")).encode()
    response = await client.post(content["uri"], content=body, headers=headers, timeout=None)
    if response.status_code not in TAKEN:
        raise httpx.HTTPStatusError(f"answered {response.status_code}", request=response.request, response=response)


async def publish(content: Json) -> None:
    """MQTT (7.2): headers and body in one message. Raises aiomqtt.MqttError."""
    parts = urlsplit(content["uri"])
    secure = parts.scheme == "mqtts"
    told: Mapping[str, str] = content["notifier"]
    version = told.get("MQTT-Version", "mqtt5.0")
    async with aiomqtt.Client(
        parts.hostname or "",
        parts.port or (8883 if secure else 1883),
        username=unquote(parts.username) if parts.username else None,
        password=unquote(parts.password) if parts.password else None,
        protocol=aiomqtt.ProtocolVersion.V5 if version == "mqtt5.0" else aiomqtt.ProtocolVersion.V311,
        tls_context=ssl.create_default_context() if secure else None,
    ) as client:
        message = {"metadata": content["headers"], "body": content["body"]}
        payload = json.dumps(message, ensure_ascii=False).encode()
        await client.publish(unquote(parts.path).strip("/"), payload, qos=int(told.get("MQTT-QoS", "0")))
