"""The server's certificate is renewed in time, and served without a restart."""

import asyncio
import ssl
from pathlib import Path

from aggregator.app import App
from aggregator.security import authority
from aggregator.security.server_identity import ServerIdentity
from protos import tls
from protos.clock import NS, SteppedClock
from tests.aggregator.serving import root_pem, with_app

DAY_NS = 86_400 * NS
NOW_NS = 1_800_000_000 * NS


def test_renewed_at_two_thirds(tmp_path: Path) -> None:
    clock = SteppedClock(wall_ns=NOW_NS)
    own = authority.create(tmp_path, tls.utc(NOW_NS))
    first = ServerIdentity(tmp_path, own, ["127.0.0.1"], clock)
    clock.step_wall(59 * DAY_NS)
    assert not first.renew_if_due()
    assert ServerIdentity(tmp_path, own, ["127.0.0.1"], clock).serial == first.serial  # kept over a restart
    clock.step_wall(2 * DAY_NS)
    before = first.serial
    assert first.renew_if_due()
    assert first.serial != before
    assert (tmp_path / "server.pem").stat().st_mode & 0o077 == 0


def test_another_name_needs_another_certificate(tmp_path: Path) -> None:
    clock = SteppedClock(wall_ns=NOW_NS)
    own = authority.create(tmp_path, tls.utc(NOW_NS))
    first = ServerIdentity(tmp_path, own, ["127.0.0.1"], clock)
    assert ServerIdentity(tmp_path, own, ["twin.example.org"], clock).serial != first.serial


async def served(address: str, root: bytes) -> bytes:
    """The certificate that a listener shows, in DER; checked against the root as a gateway does."""
    context = ssl.create_default_context(cadata=root.decode())
    context.set_alpn_protocols(["h2"])
    host, _, port = address.rpartition(":")
    _, writer = await asyncio.open_connection(host, int(port), ssl=context, server_hostname=tls.SERVER_NAME)
    shown = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    return bytes(shown)


def test_rotation_without_restart(tmp_path: Path) -> None:
    async def body(app: App) -> None:
        address, root = app.address("enrolment"), root_pem(app)
        before = await asyncio.gather(*(served(address, root) for _ in range(20)))  # handshakes at once
        app.identity.renew()
        after = await asyncio.gather(*(served(address, root) for _ in range(20)))
        assert len(set(before)) == len(set(after)) == 1
        assert before[0] != after[0]

    with_app(tmp_path / "state", body)
