"""Keys and certificates from enrolment to recovery, against the real authority."""

import asyncio
import os
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from aggregator.security.registrar import approve, revoke
from edge_agent.sync import Identity
from edge_agent.sync.faults import IdentityError, Refused
from protos.clock import NS
from tests.edge.sync.gateway import NAME, Gateway, OffClock, enrol, gateway, running
from tests.edge.sync.test_sync import failed
from tests.simulators.sync_peer import Home, serve

DAY = 86_400 * NS


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[Home]:
    """Its own clock can be set; the certificates that it gives are as old as that clock is late."""
    (tmp_path / "aggregator").mkdir()
    async with serve(tmp_path / "aggregator", clock=OffClock(-40 * DAY)) as one:
        yield one


def set_clock(home: Home, off_ns: int) -> None:
    assert isinstance(home.clock, OffClock)
    home.clock.off_ns = off_ns


async def enrolled(home: Home, state: Path, age_ns: int = 0) -> Gateway:
    """A gateway whose certificate is `age_ns` old, that has forgotten the time it was given."""
    state.mkdir(exist_ok=True)
    set_clock(home, -age_ns)
    await enrol(gateway(state), home)
    set_clock(home, 0)
    (state / "time.json").unlink()
    return gateway(state)


async def test_the_key_is_made_here_and_for_nobody_else(home: Home, tmp_path: Path) -> None:
    one = await enrolled(home, tmp_path / "edge")
    assert one.identity.gateway_pem.stat().st_mode & 0o777 == 0o600
    assert one.identity.directory.stat().st_mode & 0o777 == 0o700
    assert b"PRIVATE KEY" in one.identity.gateway_pem.read_bytes()
    assert sorted(path.name for path in one.identity.directory.iterdir()) == ["gateway.pem", "root.pem"]
    facts = one.identity.facts()
    assert (facts.gateway, facts.sync_address, facts.enrol_address) == (NAME, home.sync_address, home.enrol_address)
    assert facts.not_before_ns < facts.renew_ns < facts.not_after_ns


async def test_a_token_works_once(home: Home, tmp_path: Path) -> None:
    one, other = gateway(tmp_path / "one"), gateway(tmp_path / "other")
    one.state.mkdir()
    other.state.mkdir()
    line = home.token(NAME)
    home.token = lambda gateway: line  # type: ignore[method-assign]
    await enrol(one, home)
    with pytest.raises(Refused, match="token not valid"):
        await enrol(other, home)


async def test_an_answer_that_got_lost_costs_no_token(home: Home, tmp_path: Path) -> None:
    one = gateway(tmp_path / "edge")
    one.state.mkdir()
    line = home.token(NAME)
    home.token = lambda gateway: line  # type: ignore[method-assign]
    request = one.identity.request(NAME)
    await enrol(one, home)
    key = one.identity.gateway_pem.read_bytes().split(b"-----END PRIVATE KEY-----")[0].partition(b"\n")[2]
    (one.identity.directory / "pending.key").write_bytes(key + b"-----END PRIVATE KEY-----\n")
    one.identity.gateway_pem.unlink()  # as if power had failed before the answer was written down
    assert one.identity.request(NAME) != request  # another signature, by the same key
    await enrol(one, home)
    assert one.identity.exists


async def test_a_key_known_from_before_is_replaced(home: Home, tmp_path: Path) -> None:
    one = await enrolled(home, tmp_path / "edge")
    key = one.identity.gateway_pem.read_bytes().split(b"-----END PRIVATE KEY-----")[0].partition(b"\n")[2]
    (one.identity.directory / "pending.key").write_bytes(key + b"-----END PRIVATE KEY-----\n")
    await enrol(one, home)  # a new token, and a pending key that was certified with the old one
    assert key not in one.identity.gateway_pem.read_bytes()


async def test_renewal_at_a_third_of_life_without_lost_batches(home: Home, tmp_path: Path) -> None:
    one = await enrolled(home, tmp_path / "edge", 11 * DAY)
    before = one.identity.gateway_pem.read_bytes()
    for _ in range(50):
        await one.buffer.put(b"x" * 100)
    async with running(one):
        await home.peer.until(lambda: home.peer.streams == 2)
        await one.buffer.put(b"after")
        await home.peer.until(lambda: len(home.peer.stored) == 51)
    assert one.identity.gateway_pem.read_bytes() != before
    assert one.sync.gauges()["renewals_total"] == 1
    assert one.sync.gauges()["failures_total"] == 0
    assert one.sync.gauges()["certificate_days"] > 29


async def test_a_young_certificate_is_left_alone(home: Home, tmp_path: Path) -> None:
    one = await enrolled(home, tmp_path / "edge", 9 * DAY)
    await one.buffer.put(b"x")
    async with running(one):
        await home.peer.until(lambda: bool(home.peer.stored))
    assert one.sync.gauges()["renewals_total"] == 0


@pytest.mark.parametrize("wall_off_ns", [0, -30 * DAY, -56 * 365 * DAY])
async def test_expired_while_away_comes_back_when_a_person_approves(
    home: Home, tmp_path: Path, wall_off_ns: int
) -> None:
    state = (await enrolled(home, tmp_path / "edge", 31 * DAY)).state
    one = gateway(state, clock=OffClock(wall_off_ns))
    await one.buffer.put(b"x")
    async with running(one):
        await asyncio.wait_for(failed(one), 10)
        async with asyncio.timeout(10):
            while "waiting until a person approves" not in one.sync.counts.last_error:
                await one.clock.sleep_until(one.clock.monotonic_ns() + NS // 50)
        approve(home.catalogue, NAME, home.clock.wall_ns(), "test")
        await home.peer.until(lambda: bool(home.peer.stored), 15)
    assert one.identity.facts().not_after_ns > home.clock.wall_ns() + 29 * DAY


async def test_a_revoked_gateway_does_not_recover(home: Home, tmp_path: Path) -> None:
    one = await enrolled(home, tmp_path / "edge", 31 * DAY)
    revoke(home.catalogue, NAME, "stolen", home.clock.wall_ns(), "test")
    async with running(one):
        await asyncio.wait_for(failed(one), 10)
    assert "recovery refused" in one.sync.counts.last_error
    assert not home.peer.heard


async def test_a_gateway_without_identity_says_how_to_get_one(tmp_path: Path) -> None:
    one = gateway(tmp_path)
    async with running(one):
        await asyncio.wait_for(failed(one), 10)
    assert "edge-agent enrol" in one.sync.counts.last_error


def use(identity: Identity) -> None:
    identity.context(check_time=True)
    identity.facts()


@pytest.mark.parametrize(
    "harm",
    [
        lambda text: b"",
        lambda text: text[: len(text) // 2],
        lambda text: text.replace(b"PRIVATE KEY", b"PRIVATE KEX"),
        lambda text: text.partition(b"\n")[2],
        lambda text: text.replace(b'"gateway"', b'"gatewax"'),
        lambda text: text.replace(b'"epoch_floor": 0', b'"epoch_floor": 1'),
        lambda text: b"\0" * len(text),
    ],
)
async def test_damaged_files_are_told_with_the_remedy(home: Home, tmp_path: Path, harm: object) -> None:
    one = await enrolled(home, tmp_path / "edge")
    file = one.identity.gateway_pem
    file.write_bytes(harm(file.read_bytes()))  # type: ignore[operator]
    with pytest.raises(IdentityError, match="--again"):
        use(one.identity)


async def test_a_key_that_others_can_read_is_not_used(home: Home, tmp_path: Path) -> None:
    one = await enrolled(home, tmp_path / "edge")
    os.chmod(one.identity.gateway_pem, 0o644)
    with pytest.raises(IdentityError, match="others may read"):
        one.identity.facts()


async def test_a_crash_between_renewal_and_rename_leaves_the_old_identity_whole(home: Home, tmp_path: Path) -> None:
    one = await enrolled(home, tmp_path / "edge")
    before = one.identity.facts()
    one.identity.request(NAME)
    (one.identity.directory / ".gateway.pem.new").write_bytes(b"half")
    again = Identity(one.identity.directory)
    assert again.facts() == before
    assert isinstance(again.context(check_time=True), ssl.SSLContext)
