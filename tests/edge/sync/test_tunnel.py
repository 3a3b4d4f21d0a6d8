"""Dialling: every way in which a connection can be refused gets its own name and says where."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from edge_agent.sync.bucket import Bucket
from edge_agent.sync.faults import Expired, SyncError, Unreachable, Untrusted, WrongTime
from edge_agent.sync.identity import server_context
from edge_agent.sync.tunnel import DIAL_S, Tunnel, address_of, alert, check_server, dial, drop
from protos.clock import NS, SystemClock
from tests.edge.sync.gateway import OffClock
from tests.simulators.sync_peer import Home, serve

DAY = 86_400 * NS


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[Home]:
    async with serve(tmp_path) as one:
        yield one


def context(state: Path, *, check_time: bool = True) -> ssl.SSLContext:
    return server_context((state / "ca" / "root.pem").read_bytes(), check_time=check_time)


@pytest.mark.parametrize(("text", "found"), [("a.b:1", ("a.b", 1)), ("[::1]:7443", ("::1", 7443))])
def test_addresses(text: str, found: tuple[str, int]) -> None:
    assert address_of(text) == found


@pytest.mark.parametrize("text", ["", "host", "host:", ":7443", "host:0", "host:99999", "host:x"])
def test_what_is_no_address_is_told(text: str) -> None:
    with pytest.raises(Unreachable, match="write host:port"):
        address_of(text)


async def test_a_closed_port_is_unreachable(home: Home, tmp_path: Path) -> None:
    server = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    with pytest.raises(Unreachable, match=f"127.0.0.1:{port}: "):
        await dial(f"127.0.0.1:{port}", context(tmp_path), "aggregator")


async def test_a_server_that_does_not_speak_is_given_up(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge_agent.sync.tunnel.DIAL_S", 0.2)
    assert DIAL_S > 0.2
    held: list[asyncio.StreamWriter] = []
    server = await asyncio.start_server(lambda reader, writer: held.append(writer), "127.0.0.1", 0)
    try:
        with pytest.raises(Unreachable, match="no answer"):
            await dial(f"127.0.0.1:{server.sockets[0].getsockname()[1]}", context(tmp_path), "aggregator")
    finally:
        server.close()
        for writer in held:
            await drop(writer)


async def test_another_name_in_the_certificate_is_untrusted(home: Home, tmp_path: Path) -> None:
    with pytest.raises(Untrusted, match="certificate refused"):
        await dial(home.enrol_address, context(tmp_path), "somebody.else")


async def test_the_time_that_may_be_believed_decides(home: Home, tmp_path: Path) -> None:
    _, writer = await dial(home.enrol_address, context(tmp_path, check_time=False), "aggregator")
    try:
        now = home.clock.wall_ns()
        check_server(writer, None)
        check_server(writer, now)
        for wrong in (0, now - 2 * DAY, now + 100 * DAY):
            with pytest.raises(WrongTime):
                check_server(writer, wrong)
    finally:
        await drop(writer)


async def test_a_server_certificate_that_is_over_is_refused_by_tls_too(tmp_path: Path) -> None:
    async with serve(tmp_path, clock=OffClock(-100 * DAY)) as home:
        with pytest.raises(WrongTime, match="expired"):
            await dial(home.enrol_address, context(tmp_path), "aggregator")


async def test_the_private_socket_is_private_taken_once_and_gone_afterwards(home: Home, tmp_path: Path) -> None:
    reader, writer = await dial(home.enrol_address, context(tmp_path), "aggregator")
    path = tmp_path / "private" / ("long " * 20) / "link.sock"
    path.parent.mkdir(mode=0o700, parents=True)
    path.write_text("left by a killed agent")
    async with Tunnel(reader, writer, SystemClock(), path, cap=Bucket(1e6, 1e6, 0)) as way:
        assert path.stat().st_mode & 0o777 == 0o600
        path = Path(way.target.removeprefix("unix:"))
        answer, near = await asyncio.open_unix_connection(path)
        near.write(b"not http/2 at all, which the server answers by hanging up")
        await asyncio.wait_for(answer.read(), 5)
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_unix_connection(path)
        await drop(near)
    assert not list((tmp_path / "private").rglob("*.sock"))
    assert way.traffic.sent > 50


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        ("SSLV3_ALERT_CERTIFICATE_EXPIRED", Expired),
        ("SSLV3_ALERT_CERTIFICATE_UNKNOWN", Untrusted),
        ("TLSV1_ALERT_UNKNOWN_CA", Untrusted),
        ("SSLV3_ALERT_CERTIFICATE_REVOKED", Untrusted),
        ("BAD_RECORD", Unreachable),
    ],
)
def test_alerts_are_understood(reason: str, kind: type[SyncError]) -> None:
    error = ssl.SSLError(1, reason)
    error.reason = reason
    assert type(alert(error)) is kind
