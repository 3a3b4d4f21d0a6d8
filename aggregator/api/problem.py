"""What is wrong with a request, told as RFC 9457 says: one document, all faults at once.

Problem             status, title, and what to do
├── Invalid         400: each fault with its place, the value, and the remedy
├── Unknown         404: there is no such thing
├── Conflict        409: not in the state that it is in
├── Denied          401 or 403: who one is does not allow it
└── TooMuch         413, 429: a limit, and when to come again
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

SHOWN_MAX = 200  # characters of a value that are told back


class Fault(NamedTuple):
    at: str  # JSON path, or query parameter
    wrong: str
    value: str = ""


class Problem(Exception):
    """Raised by handlers; `site.py` makes the answer."""

    status = 500
    title = "The server failed"

    def __init__(self, detail: str, faults: Sequence[Fault] = (), headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.detail, self.faults, self.headers = detail, faults, dict(headers or {})

    def document(self) -> dict[str, object]:
        told: dict[str, object] = {"type": "about:blank", "title": self.title, "status": self.status}
        told["detail"] = self.detail
        if self.faults:
            told["faults"] = [{"at": one.at, "value": one.value[:SHOWN_MAX], "wrong": one.wrong} for one in self.faults]
        return told


class Invalid(Problem):
    status, title = 400, "The request has faults"


class Unknown(Problem):
    status, title = 404, "There is no such thing"


class Conflict(Problem):
    status, title = 409, "Not in this state"


class Unauthenticated(Problem):
    status, title = 401, "Sign in first"


class Denied(Problem):
    status, title = 403, "Not with this role"


class TooLarge(Problem):
    status, title = 413, "Too large"


class TooMany(Problem):
    status, title = 429, "Too many requests"


class Unavailable(Problem):
    status, title = 503, "Not here at present"
