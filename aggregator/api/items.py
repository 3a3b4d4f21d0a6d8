"""Lists as REST tells them, and times."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Generic, TypeVar

import msgspec

T = TypeVar("T")

Time = Annotated[str, msgspec.Meta(max_length=40, description="RFC 3339 with a time zone; empty: none")]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LIMIT_MAX = 1_000  # of one page of a list
FURTHEST_NS = 2**62  # the year 2116: what is later is a slip


class Items(msgspec.Struct, Generic[T], frozen=True):
    """`next` is what `after` is to be for the next page; nothing: this was the last."""

    items: list[T]
    next: str | None = None


class Paged(msgspec.Struct, frozen=True):
    """The query of every list."""

    limit: Annotated[int, msgspec.Meta(ge=1, le=LIMIT_MAX)] = 100
    after: Annotated[str, msgspec.Meta(pattern=r"^[0-9]{0,18}$", description="what `next` said")] = ""

    @property
    def place(self) -> int | None:
        """Where the page begins: after this number; None for the first page."""
        return int(self.after) if self.after.strip() else None  # a pattern's $ lets one newline through


class Named(msgspec.Struct, frozen=True):
    """The query of a list that is in the order of names."""

    limit: Annotated[int, msgspec.Meta(ge=1, le=LIMIT_MAX)] = 100
    after: Annotated[str, msgspec.Meta(max_length=200, description="what `next` said")] = ""


def utc(ns: int) -> str:
    """RFC 3339, UTC; empty for 0: never."""
    if not ns:
        return ""
    return (EPOCH + timedelta(microseconds=ns // 1_000)).isoformat().replace("+00:00", "Z")


def ns_of(text: str) -> int:
    """RFC 3339 with a time zone, or seconds since 1970. Raises ValueError."""
    try:
        seconds = float(text)
    except ValueError:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            raise ValueError(f"{text}: say the time zone, as in 2026-05-01T08:15:00Z") from None
        seconds = (moment - EPOCH) / timedelta(seconds=1)
    if not 0 <= seconds * 1e9 < FURTHEST_NS:
        raise ValueError(f"{text}: no time since 1970")
    return int(seconds * 1e9)
