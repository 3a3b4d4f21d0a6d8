"""Passwords: argon2id (RFC 9106, its second recommended setting); what they must be (NIST SP 800-63B §5.1.1)."""

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from aggregator.access import WeakPassword

LEAST, MOST = 12, 256  # characters; more than anybody types only keeps the hash busy
DISTINCT = 5  # characters that differ: no "aaaaaaaaaaaa"
FEEBLE = ("password", "passwort", "citytwin", "123456", "qwerty", "letmein", "welcome")

HASHER = PasswordHasher(time_cost=3, memory_cost=64 << 10, parallelism=4)  # 64 MiB, about 0.1 s
NOBODYS = HASHER.hash("of a user that there is not: checking it takes as long as any other")


def hashed(password: str, name: str) -> str:
    """What is kept of it. Raises WeakPassword."""
    if not LEAST <= len(password) <= MOST:
        raise WeakPassword(f"a password has {LEAST} to {MOST} characters: a few words that do not belong together")
    plain = password.lower()
    if len(set(plain)) < DISTINCT:
        raise WeakPassword(f"a password has at least {DISTINCT} different characters")
    found = next((one for one in (*FEEBLE, name.lower()) if one and one in plain), "")
    if found and len(plain) - len(found) < LEAST:
        raise WeakPassword(f"{found!r} in a password is the first that is tried: choose other words")
    return HASHER.hash(password)


def right(password: str, kept: str) -> bool:
    """Whether it is the password of which `kept` was made; empty for nobody's, which takes as long."""
    try:
        return HASHER.verify(kept or NOBODYS, password[: MOST + 1]) and bool(kept)
    except (VerificationError, InvalidHashError):
        return False
