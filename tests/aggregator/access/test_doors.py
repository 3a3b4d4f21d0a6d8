"""Who comes in by which door: links once, words that tell nothing, sessions that end, the last admin."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from aggregator.access import AccessError, AlreadyThere, BadName, NotKnown, Throttled, WeakPassword
from aggregator.access.doors import DAY_NS, IDLE_S, LONGEST_S, NS, Doors
from aggregator.access.roles import Role
from aggregator.access.throttle import FREE, KNOWN_MAX, Throttle
from aggregator.access.throttle import LONGEST_S as WAIT_LONGEST_S
from aggregator.stores.access import AccessStore
from protos.clock import SteppedClock

WORDS = "seven herons on the lock gate"


class Scene:
    def __init__(self, folder: Path) -> None:
        self.clock = SteppedClock(wall_ns=1_800_000_000 * NS)
        self.store = AccessStore(folder / "access.sqlite")
        self.audit: list[tuple[str, ...]] = []
        self.doors = Doors(self.store, lambda *row: self.audit.append(row), self.clock, Throttle())

    def user(self, name: str = "mei", role: str = "operator") -> str:
        return self.doors.welcome(self.doors.invite(name, role, "boss"), "", WORDS, "::1")


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    one = Scene(tmp_path)
    yield one
    one.store.close()


def test_the_first_link_makes_an_admin_and_is_good_once(scene: Scene) -> None:
    link = scene.doors.first_link()
    assert link is not None
    session = scene.doors.session(scene.doors.welcome(link, "ada", WORDS, "::1"))
    assert session is not None
    assert (session.name, session.role) == ("ada", Role.ADMIN)
    with pytest.raises(NotKnown):
        scene.doors.welcome(link, "eve", WORDS, "::1")
    assert scene.doors.first_link() is None


def test_a_link_of_an_earlier_start_is_cancelled(scene: Scene) -> None:
    before = scene.doors.first_link()
    scene.doors.first_link()
    with pytest.raises(NotKnown):
        scene.doors.welcome(before or "", "eve", WORDS, "::1")


def test_a_link_grows_old(scene: Scene) -> None:
    link = scene.doors.invite("mei", "operator", "boss", hours=1)
    scene.clock.step_wall(3600 * NS)
    with pytest.raises(NotKnown):
        scene.doors.welcome(link, "", WORDS, "::1")


@pytest.mark.parametrize(
    "password", ["short", "aaaaaaaaaaaaaaaa", "password1234", "mei-mei-mei-mei", "x" * 300, "citytwin1234"]
)
def test_weak_passwords_leave_the_link_good(scene: Scene, password: str) -> None:
    link = scene.doors.invite("mei", "operator", "boss")
    with pytest.raises(WeakPassword):
        scene.doors.welcome(link, "", password, "::1")
    assert scene.doors.welcome(link, "", WORDS, "::1")


def test_signing_in_tells_nothing_of_who_there_is(scene: Scene) -> None:
    scene.user()
    told = []
    for name, password in (("mei", "wrong words here"), ("nobody", WORDS)):
        with pytest.raises(NotKnown) as caught:
            scene.doors.sign_in(name, password, "::1")
        told.append(str(caught.value))
    assert told[0] == told[1]
    assert scene.doors.session(scene.doors.sign_in("mei", WORDS, "::1"))


@pytest.mark.parametrize("name", ["mei", "nobody"])
def test_tries_cost_ever_more_time_for_any_name(scene: Scene, name: str) -> None:
    scene.user()
    for _ in range(FREE):
        with pytest.raises(NotKnown):
            scene.doors.sign_in(name, "wrong words here", "::1")
    waits = []
    for _ in range(12):
        with pytest.raises(Throttled) as caught:
            scene.doors.sign_in(name, WORDS, "::1")
        waits.append(caught.value.wait_s)
        scene.clock.step_wall(int(caught.value.wait_s * NS) + 1)
        with pytest.raises(NotKnown):
            scene.doors.sign_in(name, "wrong words here", "::1")
    assert waits == sorted(waits)
    assert waits[-1] == pytest.approx(WAIT_LONGEST_S, rel=0.01)


def test_without_the_throttle_a_guesser_goes_on(scene: Scene) -> None:
    """Negative control."""
    scene.user()
    scene.doors.throttle.failed = lambda key, now_ns: None  # type: ignore[method-assign]
    for _ in range(FREE + 3):
        with pytest.raises(NotKnown):
            scene.doors.sign_in("mei", "wrong words here", "::1")


def test_the_throttle_remembers_a_bounded_number_of_names() -> None:
    throttle = Throttle()
    for number in range(KNOWN_MAX + 10):
        throttle.failed(str(number), NS)
    assert len(throttle._known) == KNOWN_MAX


def test_a_session_ends_when_nobody_uses_it_and_in_any_case(scene: Scene) -> None:
    secret = scene.user()
    for _ in range(LONGEST_S // (IDLE_S - 1)):
        scene.clock.step_wall((IDLE_S - 1) * NS)
        assert scene.doors.session(secret)
    scene.clock.step_wall((IDLE_S - 1) * NS)
    assert scene.doors.session(secret) is None, "a working day is over"
    secret = scene.doors.sign_in("mei", WORDS, "::1")
    scene.clock.step_wall((IDLE_S + 1) * NS)
    assert scene.doors.session(secret) is None


def test_whoever_changes_is_signed_out(scene: Scene) -> None:
    scene.user("ada", "admin")
    secret = scene.user()
    scene.doors.set_role("mei", "viewer", "ada")
    assert scene.doors.session(secret) is None
    secret = scene.doors.sign_in("mei", WORDS, "::1")
    scene.doors.enable("mei", False, "ada")
    assert scene.doors.session(secret) is None
    with pytest.raises(NotKnown):
        scene.doors.sign_in("mei", WORDS, "::1")
    scene.doors.remove("mei", "ada")
    assert [one.name for one in scene.store.users()] == ["ada"]


@pytest.mark.parametrize(
    "act",
    [
        lambda doors: doors.set_role("ada", "viewer", "ada"),
        lambda doors: doors.enable("ada", False, "ada"),
        lambda doors: doors.remove("ada", "ada"),
    ],
)
def test_the_last_admin_stays(scene: Scene, act: Callable[[Doors], None]) -> None:
    scene.user("ada", "admin")
    with pytest.raises(AccessError, match="last admin"):
        act(scene.doors)


def test_tokens(scene: Scene) -> None:
    secret = scene.doors.make_token("grafana", "viewer", "ada", days=2)
    token = scene.doors.token(secret)
    assert token is not None
    assert (token.name, token.role) == ("grafana", "viewer")
    with pytest.raises(AlreadyThere):
        scene.doors.make_token("grafana", "viewer", "ada")
    scene.clock.step_wall(2 * DAY_NS)
    assert scene.doors.token(secret) is None
    scene.doors.revoke_token("grafana", "ada")
    with pytest.raises(NotKnown):
        scene.doors.revoke_token("grafana", "ada")


def test_who_reads_the_store_comes_in_nowhere(scene: Scene, tmp_path: Path) -> None:
    session, link = scene.user(), scene.doors.invite("eve", "admin", "ada")
    token = scene.doors.make_token("grafana", "viewer", "ada")
    scene.store.close()
    kept = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert not any(secret.encode() in kept for secret in (session, link, token, WORDS))


@pytest.mark.parametrize("name", ["", "Mei", "-x", "a b", "ü", "x" * 64, "a/b"])
def test_names(scene: Scene, name: str) -> None:
    with pytest.raises(BadName):
        scene.doors.make_token(name, "viewer", "ada")


def test_public_is_no_role_to_give(scene: Scene) -> None:
    with pytest.raises(AccessError, match="no role"):
        scene.doors.invite("mei", "public", "ada")


def test_another_authority_cannot_take_over_a_local_user(scene: Scene) -> None:
    scene.user("mei")
    with pytest.raises(NotKnown):
        scene.doors.vouched("mei", "admin", "https://id.example.org")
    assert scene.doors.session(scene.doors.vouched("lin", "viewer", "https://id.example.org"))


def test_every_passage_is_audited_and_no_secret_is(scene: Scene) -> None:
    secret = scene.user()
    scene.doors.sign_out(secret)
    with pytest.raises(NotKnown):
        scene.doors.sign_in("mei", "wrong words here", "::1")
    assert [row[1] for row in scene.audit] == ["invite", "welcome", "sign out", "sign-in refused"]
    assert WORDS not in str(scene.audit)
    assert secret not in str(scene.audit)
