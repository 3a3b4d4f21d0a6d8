"""What a twin's slots hold, as it is written down: three models, a phase, starts, refusals, the newest events."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


@dataclass(frozen=True, slots=True)
class Model:
    """What lies in a slot."""

    digest: str  # SHA-256 of the bundle file, hex: its name on the shelf
    name: str
    version: str
    since_ns: int  # UTC as this machine believed, for people
    why: str


class Phase(StrEnum):
    REST = "rest"  # no candidate
    SHADOW = "shadow"
    PROBATION = "probation"


@dataclass(frozen=True, slots=True)
class Event:
    """One transition, for the log, the ledger and people."""

    kind: str  # offered probation commit back lost rollback safe
    digest: str
    why: str
    at_ns: int  # UTC as believed


@dataclass(frozen=True, slots=True)
class Run:
    """What is to run now, by digest: the model whose estimates are applied, and the one that steps beside it."""

    applied: str | None
    beside: str | None


@dataclass(frozen=True, slots=True)
class State:
    """All that outlives the process. Progress within a phase does not: after a restart the phase begins again."""

    current: Model | None = None
    candidate: Model | None = None
    previous: Model | None = None
    phase: Phase = Phase.REST
    starts: tuple[tuple[str, int], ...] = ()  # (boot id, monotonic ns), oldest first
    refused: tuple[tuple[str, str], ...] = ()  # (digest, why), oldest first
    events: tuple[Event, ...] = ()
    held: bool = False  # the candidate goes no further than its shadow until somebody lets it

    @property
    def digests(self) -> frozenset[str]:
        """The bundles that must be on the shelf."""
        return frozenset(m.digest for m in (self.current, self.candidate, self.previous) if m is not None)

    @classmethod
    def read(cls, fields: Mapping[str, Any]) -> "State":
        """The state that `dataclasses.asdict` made fields of. Raises ValueError for anything else."""
        try:
            models = {k: fields[k] and Model(**fields[k]) for k in ("current", "candidate", "previous")}
            return cls(
                **models,
                phase=Phase(fields["phase"]),
                starts=tuple((str(boot), int(at)) for boot, at in fields["starts"]),
                refused=tuple((str(digest), str(why)) for digest, why in fields["refused"]),
                events=tuple(Event(**one) for one in fields["events"]),
                held=fields.get("held") is True,  # states of before there was that have none
            )
        except (KeyError, TypeError) as error:
            raise ValueError(f"no state of slots: {error}") from None
