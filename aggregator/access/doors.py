"""Who comes in, by which door: a one-time link, name and password, a session, a token. Every passage is audited.

Links, sessions and tokens are 256 random bits, of which a digest is kept: who reads the store comes in nowhere.
Nobody comes in and nothing changes unless it is audited: while the audit cannot be written, it is refused.
A session ends after IDLE_S without a request, after LONGEST_S in any case, and when its user changes.
"""

import hashlib
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace

from aggregator.access import AccessError, AlreadyThere, BadName, NotKnown, Throttled
from aggregator.access.passwords import hashed, right
from aggregator.access.roles import Role
from aggregator.access.throttle import Throttle
from aggregator.stores.access import AccessStore, Link, SessionRow, Token, User
from protos.clock import Clock

NS = 1_000_000_000
DAY_NS = 86_400 * NS
IDLE_S, LONGEST_S = 1_800, 12 * 3_600  # OWASP: 15 to 30 minutes, and a working day
SEEN_S = 60  # so often it is written down that a session or token is in use
LINK_H, LINK_MOST_H = 24.0, 24.0 * 14
TOKEN_DAYS, TOKEN_MOST_DAYS = 90.0, 366.0
TOKEN_MARK = "ctt_"  # noqa: S105  by which a search of code and logs finds one that leaked
NAME = re.compile(r"[a-z0-9][a-z0-9._@-]{0,62}")
Note = Callable[[str, str, str, str], None]  # audit: actor, act, subject, detail
GRANTED = tuple(role for role in Role if role is not Role.PUBLIC)


@dataclass(frozen=True, slots=True)
class Session:
    name: str
    role: Role
    csrf: str
    ends_ns: int  # when it ends unless it is used


@dataclass(eq=False, slots=True)
class Doors:
    """The rules over a store. Raises AccessError, StoreError."""

    store: AccessStore
    note: Note
    clock: Clock
    throttle: Throttle

    # ---- one-time links

    def invite(self, name: str, role: str, by: str, hours: float = LINK_H) -> str:
        """A link's secret: whoever brings it sets this user's password, and so makes them or lets them in again."""
        wanted, now = role_of(role), self.clock.wall_ns()
        if name:
            check_name(name)
        if not 0 < hours <= LINK_MOST_H:
            raise AccessError(f"{hours:g} hours: a link is good for at most {LINK_MOST_H:g}")
        secret = secrets.token_urlsafe(32)
        with self.store.together():
            self.store.put_link(digest(secret), Link(name, wanted, now + int(hours * 3600 * NS)), now)
            self._note(by, "invite", name or "anybody", f"{wanted} for {hours:g} h")
        return secret

    def first_link(self) -> str | None:
        """While there is no user at all: a link for the first one, an admin. Each call cancels the one before."""
        return None if self.store.users() else self.invite("", Role.ADMIN, "aggregator")

    def welcome(self, secret: str, name: str, password: str, address: str) -> str:
        """Come in by a one-time link, with the password from now on; a session's secret."""
        key, now = f"link {address}", self.clock.wall_ns()
        self._hold(now, key)
        link = self.store.link(digest(secret))
        if link is None or link.until_ns <= now:
            self.throttle.failed(key, now)
            self._refuse(shown(name), "welcome", address, "no such link, or it was used, or its time is over")
            raise NotKnown("this link was used already, or its time is over: ask for another")
        name = link.name or name
        check_name(name)
        before = self.store.user(name)
        if before is not None and not link.name:
            raise AlreadyThere(f"{name} is there already: choose another name")
        kept = hashed(password, name)
        with self.store.together():
            user = User(name, link.role, kept, True, before.made_ns if before else now, now, "local")
            self.store.put_user(user)
            self.store.drop_link(digest(secret))
            self.store.drop_sessions_of(name)
            self._note(name, "welcome", name, f"{link.role}, by a one-time link from {address}")
            return self._begin(user)

    # ---- name and password

    def sign_in(self, name: str, password: str, address: str) -> str:
        """A session's secret. The same words and the same work whether there is such a user or not."""
        now, keys = self.clock.wall_ns(), (f"name {name[:64].lower()}", f"address {address}")
        self._hold(now, *keys)
        user = self.store.user(name)
        known = right(password, user.password if user else "")
        if user is None or not known or not user.enabled:
            for key in keys:
                self.throttle.failed(key, now)
            self._refuse(shown(name), "sign-in", address)
            raise NotKnown("name and password do not belong together")
        for key in keys:
            self.throttle.passed(key)
        with self.store.together():
            self._note(name, "sign in", address)
            return self._begin(user)

    def vouched(self, name: str, role: str, origin: str) -> str:
        """A session for whom another authority (OIDC) has vouched just now; `origin`: it, and its word for them."""
        check_name(name)
        wanted, now, before = role_of(role), self.clock.wall_ns(), self.store.user(name)
        if before is not None and (before.origin != origin or not before.enabled):
            self._refuse(name, "sign-in", origin, f"{name} is {before.origin}'s, or switched off")
            raise NotKnown(f"{name} may not come in this way: ask an admin")
        user = User(name, wanted, "", True, before.made_ns if before else now, now, origin)
        with self.store.together():
            self.store.put_user(user)
            self._note(name, "sign in", origin, wanted)
            return self._begin(user)

    def refused(self, origin: str, why: str) -> None:
        """Somebody came back from another authority, and may not come in."""
        self._refuse("", "sign-in", origin, why)

    def _begin(self, user: User) -> str:
        """Inside `together`, with what the audit says of it."""
        secret, now = secrets.token_urlsafe(32), self.clock.wall_ns()
        self.store.forget_sessions(now - LONGEST_S * NS, now - IDLE_S * NS)
        self.store.put_session(digest(secret), SessionRow(user.name, secrets.token_urlsafe(32), now, now))
        self.store.put_user(replace(user, seen_ns=now))
        return secret

    # ---- sessions and tokens

    def session(self, secret: str) -> Session | None:
        """Who this is, as they are now; None when the session is over."""
        key, now = digest(secret), self.clock.wall_ns()
        row = self.store.session(key)
        user = self.store.user(row.name) if row else None
        if row is None or user is None or not user.enabled:
            return None
        if now - row.begun_ns > LONGEST_S * NS or now - row.seen_ns > IDLE_S * NS:
            self.store.drop_session(key)
            return None
        if now - row.seen_ns > SEEN_S * NS:
            self.store.saw_session(key, now)
        ends = min(now + IDLE_S * NS, row.begun_ns + LONGEST_S * NS)
        return Session(row.name, Role(user.role), row.csrf, ends)

    def sign_out(self, secret: str) -> None:
        if (session := self.session(secret)) is not None:
            self.store.drop_session(digest(secret))  # whoever goes is out, whatever becomes of the audit
            with self.store.together():
                self._note(session.name, "sign out", session.name)

    def make_token(self, name: str, role: str, by: str, days: float = TOKEN_DAYS) -> str:
        """A token for a program: told once."""
        check_name(name)
        wanted, now = role_of(role), self.clock.wall_ns()
        if not 0 < days <= TOKEN_MOST_DAYS:
            raise AccessError(f"{days:g} days: a token is good for at most {TOKEN_MOST_DAYS:g}")
        if any(one.name == name for one in self.store.tokens()):
            raise AlreadyThere(f"there is a token {name}: revoke it first, or choose another name")
        secret = TOKEN_MARK + secrets.token_urlsafe(32)
        with self.store.together():
            self.store.put_token(digest(secret), Token(name, wanted, now, now + int(days * DAY_NS), 0))
            self._note(by, "make token", name, f"{wanted} for {days:g} days")
        return secret

    def token(self, secret: str) -> Token | None:
        now, found = self.clock.wall_ns(), self.store.token(digest(secret))
        if found is None or found.until_ns <= now:
            return None
        if now - found.seen_ns > SEEN_S * NS:
            self.store.saw_token(found.name, now)
        return found

    def revoke_token(self, name: str, by: str) -> None:
        with self.store.together():
            if not self.store.drop_token(name):
                raise NotKnown(f"no token {name}")
            self._note(by, "revoke token", name)

    # ---- users

    def set_role(self, name: str, role: str, by: str) -> None:
        self._change(name, by, "set role", role_of(role))

    def enable(self, name: str, enabled: bool, by: str) -> None:
        self._change(name, by, "enable user" if enabled else "disable user", enabled=enabled)

    def remove(self, name: str, by: str) -> None:
        self._keep_an_admin(name)
        with self.store.together():
            if not self.store.drop_user(name):
                raise NotKnown(f"no user {name}")
            self._note(by, "remove user", name)

    def _change(self, name: str, by: str, act: str, role: Role | None = None, enabled: bool | None = None) -> None:
        user = self.store.user(name)
        if user is None:
            raise NotKnown(f"no user {name}")
        after = replace(user, role=role or user.role, enabled=user.enabled if enabled is None else enabled)
        if after.role != Role.ADMIN or not after.enabled:
            self._keep_an_admin(name)
        with self.store.together():
            self.store.put_user(after)
            self.store.drop_sessions_of(name)  # whoever is signed in signs in again, as what they are now
            self._note(by, act, name, after.role)

    def _keep_an_admin(self, leaving: str) -> None:
        admins = [one.name for one in self.store.users() if one.role == Role.ADMIN and one.enabled]
        if admins == [leaving]:
            raise AccessError(f"{leaving} is the last admin: make another one first")

    def _hold(self, now_ns: int, *keys: str) -> None:
        if (wait_s := max(self.throttle.wait_s(key, now_ns) for key in keys)) > 0:
            raise Throttled(wait_s)

    def _refuse(self, name: str, what: str, where: str, why: str = "") -> None:
        with self.store.together():
            self._note(name, f"{what} refused", where, why)

    def _note(self, actor: str, act: str, subject: str, detail: str = "") -> None:
        self.note(actor, act, subject, detail)


def shown(name: str) -> str:
    """For the audit: what could be no name may be a password in the wrong field."""
    return name if NAME.fullmatch(name) else "?"


def digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()


def role_of(text: str) -> Role:
    """Raises AccessError."""
    if text not in GRANTED:
        raise AccessError(f"{text}: no role; there are {', '.join(GRANTED)}")
    return Role(text)


def check_name(name: str) -> None:
    """Raises BadName."""
    if not NAME.fullmatch(name):
        raise BadName(f"{name[:80]!r}: a name is 1 to 63 of a-z 0-9 . _ @ - and begins with a letter or digit")
