"""An OpenID provider as a process: discovery, keys, a sign-in form, the code flow with PKCE, one-time codes.

Run as `python -m tests.simulators.oidc_provider`; prints its issuer. It checks what a provider must (RFC 6749, RFC
7636, OpenID Connect Core 1.0) and refuses what is wrong. Of itself it is honest; POST /lie {"kind": …} makes its next
ID token wrong in one way, POST /register {"redirect": …} names where browsers may be sent, POST /rotate changes its
key. Signatures are made with `cryptography`, by other hands than those that check them.
"""

import base64
import hashlib
import hmac
import json
import secrets
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

CLIENT, SECRET = "citytwin", "a secret of: both & all"
PEOPLE: dict[str, list[str]] = {
    "lin": ["staff", "control-room"],
    "root": ["city-admins"],
    "guest": ["staff"],
    "Mei": ["control-room"],
}


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Key:
    def __init__(self) -> None:
        self.id, self._key = secrets.token_hex(4), ec.generate_private_key(ec.SECP256R1())
        numbers = self._key.public_key().public_numbers()
        self.x, self.y = (b64(one.to_bytes(32, "big")) for one in (numbers.x, numbers.y))

    @property
    def shown(self) -> dict[str, str]:
        return {"kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": self.id, "x": self.x, "y": self.y}

    def sign(self, data: bytes) -> bytes:
        r, s = decode_dss_signature(self._key.sign(data, ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")


@dataclass
class Provider:
    issuer: str = ""
    redirects: set[str] = field(default_factory=set)
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    key: Key = field(default_factory=Key)
    lie: str = ""

    def metadata(self) -> dict[str, Any]:
        shown = {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorise",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/keys",
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["ES256"],
            "code_challenge_methods_supported": ["S256"],
            "authorization_response_iss_parameter_supported": True,
        }
        return shown | ({"issuer": "https://other.example.org"} if self.lie == "issuer-name" else {})

    def wrong(self, asked: Mapping[str, str]) -> str:
        """What is wrong with an authorisation request; nothing when it may go on."""
        wanted = {
            "client_id": asked.get("client_id") == CLIENT,
            "redirect_uri": asked.get("redirect_uri") in self.redirects,
            "response_type": asked.get("response_type") == "code",
            "scope": "openid" in asked.get("scope", "").split(),
            "state": len(asked.get("state", "")) >= 16,
            "nonce": len(asked.get("nonce", "")) >= 16,
            "code_challenge_method": asked.get("code_challenge_method") == "S256",
            "code_challenge": len(asked.get("code_challenge", "")) == 43,
        }
        return ", ".join(name for name, right in wanted.items() if not right)

    def code(self, asked: Mapping[str, str]) -> str:
        code = secrets.token_urlsafe(16)
        self.codes[code] = dict(asked)
        return code

    def redeem(self, form: Mapping[str, str], authorization: str) -> tuple[int, dict[str, Any]]:
        kind, _, both = authorization.partition(" ")
        user, _, password = base64.b64decode(both).decode().partition(":") if kind == "Basic" else ("", "", "")
        if (unquote(user), unquote(password)) != (CLIENT, SECRET):
            return 401, {"error": "invalid_client"}
        asked = self.codes.pop(form.get("code", ""), None)
        proof = b64(hashlib.sha256(form.get("code_verifier", "").encode()).digest())
        if (
            asked is None
            or form.get("grant_type") != "authorization_code"
            or form.get("redirect_uri") != asked["redirect_uri"]
            or not hmac.compare_digest(proof, asked["code_challenge"])
        ):
            return 400, {"error": "invalid_grant"}
        access = secrets.token_urlsafe(16)
        return 200, {"access_token": access, "token_type": "Bearer", "id_token": self.id_token(asked, access)}

    def id_token(self, asked: Mapping[str, str], access: str) -> str:
        """Of this sign-in; wrong in one way when it is to lie."""
        lie, self.lie, now = self.lie, "", int(time.time())
        half = hashlib.sha256(access.encode()).digest()[:16]
        claims: dict[str, Any] = {
            "iss": self.issuer,
            "sub": "u-" + asked["name"].lower(),
            "aud": CLIENT,
            "iat": now,
            "exp": now + 300,
            "nonce": asked["nonce"],
            "at_hash": b64(half),
            "preferred_username": asked["name"],
            "groups": PEOPLE[asked["name"]],
        }
        lies: dict[str, dict[str, Any]] = {
            "audience": {"aud": "another"},
            "audiences": {"aud": [CLIENT, "another"], "azp": "another"},
            "issuer": {"iss": "https://other.example.org"},
            "nonce": {"nonce": "of another sign-in"},
            "old": {"iat": now - 7200, "exp": now - 3600},
            "future": {"iat": now + 3600, "exp": now + 7200},
            "access": {"at_hash": b64(bytes(16))},
            "subject": {"sub": "u-somebody-else"},
        }
        claims |= lies.get(lie, {})
        for name in {"no-nonce": ["nonce"], "no-subject": ["sub"], "no-end": ["exp"]}.get(lie, ()):
            del claims[name]
        return self.signed(claims, lie)

    def signed(self, claims: Mapping[str, Any], lie: str) -> str:
        key = Key() if lie == "key" else self.key
        header = {"alg": "ES256", "kid": self.key.id, "typ": "JWT"}
        header |= {"none": {"alg": "none"}, "symmetric": {"alg": "HS256"}}.get(lie, {})
        text = b64(json.dumps(header).encode()) + "." + b64(json.dumps(claims).encode())
        if lie == "none":
            return text + "."
        if lie == "symmetric":  # with what everybody knows, the public key, as the secret (CVE-2015-9235)
            return text + "." + b64(hmac.digest(json.dumps(self.key.shown).encode(), text.encode(), "sha256"))
        if lie == "cut":
            return text
        return text + "." + b64(key.sign(text.encode()))


class Handler(BaseHTTPRequestHandler):
    provider: Provider

    def do_GET(self) -> None:
        place, provider = urlsplit(self.path), self.provider
        if place.path == "/.well-known/openid-configuration":
            self.tell(200, provider.metadata())
        elif place.path == "/keys":
            self.tell(200, {"keys": [provider.key.shown]})
        elif place.path == "/authorise":
            wrong = provider.wrong(dict(parse_qsl(place.query)))
            form = f'<form method="post" action="/authorise?{place.query}"><input name="name"></form>'
            self.tell(400 if wrong else 200, wrong or form)
        else:
            self.tell(404, "nothing here")

    def do_POST(self) -> None:
        place, provider = urlsplit(self.path), self.provider
        body = self.rfile.read(int(self.headers.get("content-length", 0))).decode()
        if place.path == "/authorise":
            asked = dict(parse_qsl(place.query))
            name = dict(parse_qsl(body)).get("name", "")
            if provider.wrong(asked) or name not in PEOPLE:
                return self.tell(400, "sign in again")
            back = {"code": provider.code(asked | {"name": name}), "state": asked["state"], "iss": provider.issuer}
            return self.tell(302, "", f"{asked['redirect_uri']}?{urlencode(back)}")
        if place.path == "/token":
            return self.tell(*provider.redeem(dict(parse_qsl(body)), self.headers.get("authorization", "")))
        if place.path == "/register":
            provider.redirects.add(json.loads(body)["redirect"])
        elif place.path == "/lie":
            provider.lie = json.loads(body)["kind"]
        elif place.path == "/rotate":
            provider.key = Key()
        return self.tell(200, {})

    def tell(self, status: int, content: object, location: str = "") -> None:
        data = (content if isinstance(content, str) else json.dumps(content)).encode()
        self.send_response(status)
        self.send_header("content-type", "text/html" if isinstance(content, str) else "application/json")
        self.send_header("content-length", str(len(data)))
        if location:
            self.send_header("location", location)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:
        """Its output is its issuer alone."""


def main() -> int:
    Handler.provider = Provider()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Handler.provider.issuer = f"http://127.0.0.1:{server.server_address[1]}"
    print(Handler.provider.issuer, flush=True)
    server.serve_forever()
    return 0


if __name__ == "__main__":
    sys.exit(main())
