"""One connection to a broker: aiomqtt, with acknowledgement by hand and messages handed on as they are read.

aiomqtt 2.5 gives no way to acknowledge later and makes a task for each message. Its paho client has both, so this
file, and no other, reaches for `Client._client`; tests/edge/sources/mqtt/test_connection.py notices when it moves.
"""

import asyncio
import logging
import ssl
from collections.abc import Callable, Iterable, Sequence
from types import TracebackType
from typing import Any, Self

import aiomqtt
from paho.mqtt.client import MQTT_CLEAN_START_FIRST_ONLY, MQTTMessage
from paho.mqtt.client import Client as Paho
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

from edge_agent.profile import Broker
from edge_agent.sources.mqtt.limits import CONNECT_S, PAYLOAD_MAX, WINDOW_MAX
from edge_agent.sources.mqtt.reading import MqttError, Request
from protos.validity import Time, judged_by

log = logging.getLogger(__name__)
HEADER_MAX = 4096  # topic and properties of a message, beside its payload
FILTERS_AT_ONCE = 100  # in one SUBSCRIBE: some brokers refuse long ones

OnMessage = Callable[[MQTTMessage], None]


class ConnectionFault(MqttError):
    """The broker cannot be reached, refuses us, or went away."""


def tls_of(broker: Broker, time: Time | None = None) -> ssl.SSLContext | None:
    """The context of a broker with TLS, which judges dates by `time`. Raises ConnectionFault, naming the file."""
    if not broker.tls:
        return None
    try:
        context = ssl.create_default_context(cafile=broker.ca_file)
        if broker.certificate_file is not None:
            context.load_cert_chain(broker.certificate_file, broker.key_file)
    except (OSError, ssl.SSLError) as error:
        files = [str(one) for one in (broker.ca_file, broker.certificate_file, broker.key_file) if one]
        raise ConnectionFault(f"broker {broker.name}: cannot use {', '.join(files)}: {error}") from error
    if time is not None:
        judged_by(time, context)
    return context


def password_of(broker: Broker) -> str | None:
    """The password, read anew for each connection so that it can be changed. Raises ConnectionFault."""
    if broker.password_file is None:
        return None
    try:
        return broker.password_file.read_text().rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ConnectionFault(f"broker {broker.name}: cannot read password_file: {error}") from error


def session_of(broker: Broker) -> Properties | None:
    """What MQTT 5 lets us say: how long to keep the session, how much to send unacknowledged, how large."""
    if broker.version != 5:
        return None
    properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]  # paho has no types there
    properties.SessionExpiryInterval = broker.session_s
    properties.ReceiveMaximum = WINDOW_MAX
    properties.MaximumPacketSize = PAYLOAD_MAX + HEADER_MAX
    return properties


class Connection:
    """`async with Connection(…)` connects; `closed()` returns when it ends. Raises ConnectionFault."""

    def __init__(
        self,
        broker: Broker,
        client_id: str,
        on_message: OnMessage,
        manual_ack: bool = True,
        time: Time | None = None,
    ) -> None:
        """Without `time` a broker's certificate is judged by the machine's own clock."""
        self.broker = broker
        self.session_present = False
        fifth = broker.version == 5
        self._client = aiomqtt.Client(
            broker.host,
            broker.port,
            username=broker.username or None,
            password=password_of(broker),
            identifier=client_id,
            protocol=aiomqtt.ProtocolVersion.V5 if fifth else aiomqtt.ProtocolVersion.V311,
            clean_session=None if fifth else False,
            clean_start=False if fifth else MQTT_CLEAN_START_FIRST_ONLY,  # the only value that paho takes for 3.1.1
            properties=session_of(broker),
            timeout=CONNECT_S,
            keepalive=broker.keepalive_s,
            tls_context=tls_of(broker, time),
        )
        self._paho: Paho = self._client._client
        self._paho.disable_logger()  # paho says nothing that aiomqtt does not raise, but says it for each message
        self._paho.connect_timeout = CONNECT_S
        self._paho.manual_ack_set(manual_ack)
        self._paho.on_message = lambda client, userdata, message: on_message(message)
        self._accepted: Callable[..., None] | None = self._paho.on_connect
        self._paho.on_connect = self._connected
        self._paused = False

    def _connected(self, client: Any, userdata: Any, flags: Any, reason: Any, properties: Any = None) -> None:
        self.session_present = bool(flags.session_present)
        if self._accepted is not None:
            self._accepted(client, userdata, flags, reason, properties)

    async def __aenter__(self) -> Self:
        try:
            await self._client.__aenter__()
        except (aiomqtt.MqttError, OSError, ValueError) as error:
            self._paho.disconnect()  # a broker that never answers would keep the socket and its reader
            remedy = "; set version = 4" if self.broker.version == 5 and "protocol version" in str(error) else ""
            raise ConnectionFault(
                f"broker {self.broker.name} at {self.broker.host}:{self.broker.port}: {error}{remedy}"
            ) from error
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._paho.on_message = None
        try:
            await self._client.__aexit__(kind, error, trace)
        except aiomqtt.MqttError as fault:
            log.debug("broker %s: goodbye failed: %s", self.broker.name, fault)

    async def subscribe(self, filters: Sequence[str]) -> list[str]:
        """Subscribe at QoS 1; returns the filters that the broker refuses."""
        refused: list[str] = []
        for at in range(0, len(filters), FILTERS_AT_ONCE):
            part = filters[at : at + FILTERS_AT_ONCE]
            codes = await self._subscribe_some(part)
            refused += [one for one, code in zip(part, codes, strict=False) if is_refusal(code)]
        return refused

    async def _subscribe_some(self, filters: Sequence[str]) -> Iterable[Any]:
        try:
            if self.broker.version == 5:  # retained messages only for a subscription that is new to the broker
                options = SubscribeOptions(qos=1, retainHandling=SubscribeOptions.RETAIN_SEND_IF_NEW_SUB)
                return await self._client.subscribe([(one, options) for one in filters])
            return await self._client.subscribe([(one, 1) for one in filters])
        except (aiomqtt.MqttError, ValueError) as error:
            raise ConnectionFault(f"broker {self.broker.name}: subscribing to {', '.join(filters)}: {error}") from error

    async def publish(self, request: Request) -> None:
        """Publish at QoS 1, never retained: a retained command would act again whenever somebody subscribes."""
        try:
            await self._client.publish(request.topic, request.payload, qos=1, retain=False)
        except (aiomqtt.MqttError, ValueError) as error:
            raise ConnectionFault(f"broker {self.broker.name}: publishing to {request.topic}: {error}") from error

    async def tell(self, topic: str, payload: bytes) -> None:
        """Publish at QoS 0, never retained: for whoever listens now."""
        try:
            await self._client.publish(topic, payload, qos=0, retain=False)
        except (aiomqtt.MqttError, ValueError) as error:
            raise ConnectionFault(f"broker {self.broker.name}: publishing to {topic}: {error}") from error

    async def closed(self) -> None:
        """Wait until the connection ends, and raise ConnectionFault with the reason."""
        try:
            async for _ in self._client.messages:  # none come here; it ends with the connection
                pass
        except aiomqtt.MqttError as error:
            raise ConnectionFault(f"broker {self.broker.name} went away: {error.__cause__ or error}") from error

    def acknowledge(self, mid: int) -> None:
        self._paho.ack(mid, 1)

    def pause(self) -> None:
        """Read no more from the socket: the broker waits. A pause beyond the keep-alive ends the connection."""
        socket = self._paho.socket()
        if not self._paused and socket is not None:
            self._paused = True
            asyncio.get_running_loop().remove_reader(socket)

    def resume(self) -> None:
        socket = self._paho.socket()
        if self._paused and socket is not None:
            self._paused = False
            asyncio.get_running_loop().add_reader(socket, self._read)

    def _read(self) -> None:
        """As aiomqtt's own reader: TLS may hold packets that the socket no longer shows."""
        self._paho.loop_read()
        while (socket := self._paho.socket()) is not None and getattr(socket, "pending", int)() > 0:
            self._paho.loop_read()


def is_refusal(code: Any) -> bool:
    """Of a SUBACK: a reason code object, or the number of MQTT 3.1.1."""
    return bool(code >= 128) if isinstance(code, int) else bool(code.is_failure)
