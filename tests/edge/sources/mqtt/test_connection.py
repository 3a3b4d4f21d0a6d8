"""What the connection takes from inside aiomqtt, and brokers that refuse."""

import asyncio

import aiomqtt
import pytest
from paho.mqtt.client import Client as Paho

from edge_agent.profile import Broker
from edge_agent.sources.mqtt.connection import Connection, ConnectionFault, session_of
from edge_agent.sources.mqtt.limits import PAYLOAD_MAX, WINDOW_MAX

CONNACK_BAD_VERSION = bytes((0x20, 2, 0, 1))  # as a broker of MQTT 3.1.1 answers a client of MQTT 5


async def test_what_we_reach_for_is_where_it_was() -> None:
    client = aiomqtt.Client("127.0.0.1")
    assert isinstance(client._client, Paho)
    assert callable(client._client.manual_ack_set)
    assert callable(client._client.ack)
    assert client._client.on_connect is not None


def test_mqtt_5_bounds_what_the_broker_sends() -> None:
    properties = session_of(Broker("b", "127.0.0.1", version=5, session_s=60))
    assert properties is not None
    told = vars(properties)
    assert (told["SessionExpiryInterval"], told["ReceiveMaximum"]) == (60, WINDOW_MAX)
    assert PAYLOAD_MAX < told["MaximumPacketSize"] < 2 * PAYLOAD_MAX
    assert session_of(Broker("b", "127.0.0.1", version=4)) is None


async def test_a_broker_that_speaks_only_3_1_1_is_named_with_the_remedy() -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(CONNACK_BAD_VERSION)
        await writer.drain()
        await reader.read()
        writer.close()

    server = await asyncio.start_server(refuse, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(ConnectionFault, match="set version = 4"):
            async with Connection(Broker("b", "127.0.0.1", port), "c", print):
                pass


async def test_a_broker_that_never_answers_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge_agent.sources.mqtt.connection.CONNECT_S", 0.2)
    gone = asyncio.Event()

    async def ignore(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()  # until the other end closes
        gone.set()
        writer.close()

    server = await asyncio.start_server(ignore, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(ConnectionFault, match="timed out"):
            async with Connection(Broker("b", "127.0.0.1", port), "c", print):
                pass
        await asyncio.wait_for(gone.wait(), 5)
