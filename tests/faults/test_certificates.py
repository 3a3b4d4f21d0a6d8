"""No certificate but a good one gets in, and a good one no longer when it is revoked."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import grpc
import grpc.aio
import pytest

from aggregator.app import App
from aggregator.security import authority, registrar
from aggregator.security.authority import OwnAuthority
from aggregator.stores.catalogue import Catalogue
from protos import sync_pb2_grpc, tls
from tests.aggregator.serving import WAIT_S, root_pem, with_app
from tests.simulators.fleet import beat, channel, hello
from tests.simulators.strangers import BAD, Forge, gets_in

GATEWAY = "gw-1"


def forge(app: App, tmp_path: Path) -> Forge:
    root_key = authority.load_key(app.config.ca / "root.key")
    now = datetime.now(UTC)
    return Forge(OwnAuthority.load(app.config.ca), root_key, authority.create(tmp_path / "other", now), now, GATEWAY)


def test_only_the_good_one_gets_in(tmp_path: Path) -> None:
    async def body(app: App) -> None:
        one = forge(app, tmp_path)
        address, root = app.address("sync"), root_pem(app)
        assert await gets_in(address, root, one.good()) == (True, "")  # else all of the below says nothing
        answers = {name: await gets_in(address, root, case(one)) for name, case in BAD.items()}
        assert not {name: said for name, (inside, said) in answers.items() if inside}
        assert await app.log.read(0, 10) == []
        assert "wrong" not in answers["wrong CA"][1]  # no reason is told before the handshake is through

    with_app(tmp_path / "state", body)


def test_revoked_by_another_process_while_connected(tmp_path: Path) -> None:
    async def body(app: App) -> None:
        papers = forge(app, tmp_path).good()
        async with channel(app.address("sync"), root_pem(app), papers.key, papers.chain) as link:
            call = sync_pb2_grpc.SyncStub(link).Stream(timeout=WAIT_S)
            await call.write(hello(GATEWAY))
            assert (await call.read()).HasField("welcome")
            certificate = tls.load_chain(papers.chain or b"")[0]
            elsewhere = Catalogue(app.config.catalogue)
            with elsewhere.act(app.clock.wall_ns(), "test", "revoke", GATEWAY):
                elsewhere.connection.execute(
                    "INSERT INTO certificate VALUES (?, ?, 0, 0, '', 0, 1, 'stolen')",
                    (f"{certificate.serial_number:x}", GATEWAY),
                )
            elsewhere.close()
            await call.write(beat(GATEWAY))
            said = []
            while (message := await call.read()) is not grpc.aio.EOF:  # type: ignore[attr-defined]
                said.append(message)
            assert "stolen" in said[-1].refusal.reason
            assert said[-1].refusal.final
        assert await gets_in(app.address("sync"), root_pem(app), papers) == (
            False,
            "PERMISSION_DENIED: client certificate refused: certificate of gw-1 is revoked: stolen",
        )
        assert ("stream cut", GATEWAY) in [(one.act, one.subject) for one in app.catalogue.audit()]

    with_app(tmp_path / "state", body)


def test_a_revoked_gateway_stays_out_with_any_certificate(tmp_path: Path) -> None:
    async def body(app: App) -> None:
        one = forge(app, tmp_path)
        registrar.new_token(app.catalogue, GATEWAY, 1, app.clock.wall_ns(), "test")
        registrar.revoke(app.catalogue, GATEWAY, "stolen", app.clock.wall_ns(), "test")
        inside, said = await gets_in(app.address("sync"), root_pem(app), one.good())  # never on file
        assert (inside, "is revoked" in said) == (False, True)

    with_app(tmp_path / "state", body)


@pytest.mark.parametrize("name", ["wrong CA", "expired", "server certificate"])
def test_the_matrix_can_fail(name: str, tmp_path: Path) -> None:
    """Negative control: a listener that asks for no certificate at the handshake and admits whoever comes."""
    from aggregator.ingest.servicer import Sync, add_sync, listener
    from aggregator.security.admission import Peer

    async def body(app: App) -> None:
        one = forge(app, tmp_path)
        anyone = Sync(app.intake, app.streams, app.fleet, lambda _: Peer(GATEWAY, "", 2**62))
        server, port = listener("127.0.0.1:0", app.identity.credentials(clients=False), [add_sync(anyone)], 1 << 20)
        await server.start()
        inside, _ = await gets_in(f"127.0.0.1:{port}", root_pem(app), BAD[name](one))
        await asyncio.wait_for(server.stop(0), WAIT_S)
        assert inside

    with_app(tmp_path / "state", body)
