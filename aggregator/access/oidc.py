"""People who sign in elsewhere: OpenID Connect Core 1.0, code flow with PKCE (RFC 7636, S256), state and nonce.

`begin` says where a browser goes, `finish` what the issuer says of who comes back. What is sent to us by the browser is
believed for one thing alone, to ask the issuer; what the issuer says is believed when it is signed by a key that the
issuer shows, names us and this very sign-in, and is of now. The issuer's own name is checked where it answers, too
(RFC 9207), so that one issuer's code is never taken to another.
"""

import json
import secrets
import ssl
from collections import OrderedDict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
from authlib.common.errors import AuthlibBaseError
from authlib.oauth2.rfc6749.parameters import prepare_grant_uri
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from authlib.oidc.core import CodeIDToken
from joserfc import jwk, jwt
from joserfc.errors import JoseError

from aggregator.access import AccessError, IssuerSilent, NotVouched
from aggregator.access.settings import Oidc, safe_address
from protos.clock import Clock

NS = 1_000_000_000
ALGORITHMS = ("RS256", "PS256", "ES256", "ES384", "EdDSA")  # with a key pair: nobody but the issuer could sign
BEGUN_S = 600  # what a person takes to sign in elsewhere
BEGUN_MAX = 1_000  # at once; the oldest are forgotten first
KNOWN_S = 3_600  # how long the issuer's metadata and keys are believed
LEEWAY_S = 60  # between two clocks
ANSWER_S = 10.0
ANSWER_MAX = 256 << 10  # bytes of one answer: a hundred keys


@dataclass(frozen=True, slots=True)
class Vouched:
    """`origin` is the issuer and its own unchanging word for this person: names there may pass to others."""

    name: str
    role: str
    origin: str


@dataclass(frozen=True, slots=True)
class Begun:
    nonce: str
    verifier: str
    until_ns: int


@dataclass(frozen=True, slots=True)
class Issuer:
    """What it says of itself (OpenID Connect Discovery 1.0), and its keys."""

    authorise: str
    token: str
    keys: jwk.KeySet
    until_ns: int


class RelyingParty:
    """What we are to an issuer. Raises IssuerSilent, NotVouched."""

    def __init__(self, settings: Oidc, callback: str, clock: Clock) -> None:
        """`callback`: our own address to which browsers are sent back. Raises AccessError for files that are not."""
        self._settings, self._callback, self._clock = settings, callback, clock
        try:
            self._secret = Path(settings.secret_file).read_text().strip() if settings.secret_file else ""
            self._trust = ssl.create_default_context(cafile=settings.authority or None)
        except (OSError, ssl.SSLError) as error:
            raise AccessError(f"[oidc]: {settings.secret_file or settings.authority}: {error}") from error
        self._begun: OrderedDict[str, Begun] = OrderedDict()
        self._issuer: Issuer | None = None

    def begin(self) -> tuple[str, str]:
        """Where to send the browser, and the state that it has to bring back."""
        issuer, now = self._ask_issuer(), self._clock.wall_ns()
        state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        self._begun[state] = Begun(nonce, verifier, now + BEGUN_S * NS)
        while len(self._begun) > BEGUN_MAX:
            self._begun.popitem(last=False)
        url = prepare_grant_uri(
            issuer.authorise,
            self._settings.client_id,
            "code",
            redirect_uri=self._callback,
            scope="openid profile email",
            state=state,
            nonce=nonce,
            code_challenge=create_s256_code_challenge(verifier),
            code_challenge_method="S256",
        )
        return str(url), state

    def finish(self, state: str, code: str, told_issuer: str) -> Vouched:
        """Of what the browser brought back; a state is good once. `told_issuer`: RFC 9207, empty where it is silent."""
        begun = self._begun.pop(state, None)
        if begun is None or begun.until_ns < self._clock.wall_ns():
            raise NotVouched("this sign-in was not begun here, or it took too long: begin again")
        if told_issuer and told_issuer != self._settings.issuer:
            raise NotVouched(f"{told_issuer[:80]} answers, not {self._settings.issuer}")
        return self._vouched(self._claims(self._redeem(code, begun.verifier), begun.nonce))

    # ---- asking the issuer

    def _ask_issuer(self, *, again: bool = False) -> Issuer:
        now = self._clock.wall_ns()
        if self._issuer is not None and self._issuer.until_ns > now and not again:
            return self._issuer
        wanted = self._settings.issuer
        said = self._answer("GET", f"{wanted.rstrip('/')}/.well-known/openid-configuration")
        if said.get("issuer") != wanted:
            raise IssuerSilent(f"[oidc] issuer = {wanted!r}, but it calls itself {said.get('issuer')!r}")
        places = [said.get(one) for one in ("authorization_endpoint", "token_endpoint", "jwks_uri")]
        authorise, token, keys = (one if isinstance(one, str) and safe_address(one) else "" for one in places)
        if not (authorise and token and keys):
            raise IssuerSilent(f"{wanted} does not say where to sign in over TLS")
        try:
            found = jwk.KeySet.import_key_set(self._answer("GET", keys))  # type: ignore[arg-type]  # it checks for itself
        except (JoseError, ValueError, TypeError, KeyError) as error:
            raise IssuerSilent(f"{keys}: no keys: {error}") from error
        self._issuer = Issuer(authorise, token, found, now + KNOWN_S * NS)
        return self._issuer

    def _redeem(self, code: str, verifier: str) -> Mapping[str, Any]:
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": self._callback}
        form |= {"code_verifier": verifier, "client_id": self._settings.client_id}
        who = (quote(self._settings.client_id, safe=""), quote(self._secret, safe=""))  # RFC 6749 §2.3.1
        return self._answer("POST", self._ask_issuer().token, data=form, auth=who if self._secret else None)

    def _answer(self, method: str, url: str, **more: Any) -> Mapping[str, Any]:
        data = bytearray()
        try:
            with (
                httpx.Client(verify=self._trust, timeout=ANSWER_S, trust_env=False) as client,
                client.stream(method, url, headers={"accept": "application/json"}, **more) as answer,
            ):
                for piece in answer.iter_bytes():
                    data += piece
                    if len(data) > ANSWER_MAX:
                        raise IssuerSilent(f"{url}: more than {ANSWER_MAX} bytes")
            said = json.loads(data)
        except (httpx.HTTPError, httpx.InvalidURL, ValueError, RecursionError) as error:
            raise IssuerSilent(f"{url}: {error}") from error
        if answer.status_code == 400 and method == "POST":
            raise NotVouched("the issuer does not take this code: begin again")
        if answer.status_code != 200 or not isinstance(said, dict):
            raise IssuerSilent(f"{url}: HTTP {answer.status_code}")
        return said

    # ---- judging what it says

    def _claims(self, said: Mapping[str, Any], nonce: str) -> Mapping[str, Any]:
        issuer, own = self._settings.issuer, self._settings.client_id
        options = {"iss": {"essential": True, "value": issuer}, "aud": {"essential": True, "value": own}}
        params = {"nonce": nonce, "client_id": own, "access_token": said.get("access_token")}
        try:
            token = self._read(str(said.get("id_token", "")))
            claims = CodeIDToken(token.claims, token.header, options, params)
            claims.validate(now=self._clock.wall_ns() // NS, leeway=LEEWAY_S)
        except (JoseError, AuthlibBaseError, ValueError, TypeError) as error:
            raise NotVouched(f"what the issuer says cannot be believed: {error}") from error
        return token.claims

    def _read(self, text: str) -> jwt.Token:
        """Signed by a key of the issuer's; where none fits, it may have a new one."""
        try:
            return jwt.decode(text, self._ask_issuer().keys, list(ALGORITHMS))
        except (JoseError, ValueError):
            return jwt.decode(text, self._ask_issuer(again=True).keys, list(ALGORITHMS))

    def _vouched(self, claims: Mapping[str, Any]) -> Vouched:
        name = str(claims.get(self._settings.name_claim, "")).lower()
        role = self._settings.role(words_at(claims, self._settings.role_claim))
        if not role:
            raise NotVouched(f"{name[:63] or 'nobody'}: nothing in {self._settings.role_claim} gives a role here")
        return Vouched(name, role, f"{self._settings.issuer} {str(claims['sub'])[:255]}")


def words_at(claims: Mapping[str, Any], path: str) -> Collection[str]:
    """The texts at a place that dots lead to; none where there is nothing."""
    found: Any = claims.get(path)
    if found is None:
        found = claims
        for name in path.split("."):
            found = found.get(name) if isinstance(found, Mapping) else None
    if isinstance(found, str):
        return [found]
    return [one for one in found if isinstance(one, str)] if isinstance(found, list) else []
