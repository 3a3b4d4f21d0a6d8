"""Who has to agree to what, and how carefully it is carried out. `[decisions]` in the aggregator's configuration.

Nothing is automatic unless the configuration names its domain; what is person-only never is.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from fnmatch import fnmatchcase
from typing import Any, NamedTuple, Protocol

from aggregator.decisions import Refused

SHARES = ("city_wide", "halt_share", "first_share", "min_gain")


class Setting(Protocol):
    """What an act sets."""

    @property
    def gateway(self) -> str: ...
    @property
    def point(self) -> str: ...
    @property
    def quantity(self) -> str: ...


class Needs(NamedTuple):
    """How many persons must agree, and why so many."""

    persons: int
    why: str


@dataclass(frozen=True, slots=True)
class Policy:
    """Every limit with its why."""

    automatic: tuple[str, ...] = ()  # domains whose plans need nobody while they are calibrated
    person_only: tuple[str, ...] = ()  # quantities, or gateway/device/point patterns, that always need a person
    city_wide: float = 0.5  # share of the enrolled gateways from which on two persons must agree
    min_gain: float = 0.01  # share of what it costs without: less is not worth the wear of actuators
    approve_s: float = 900.0  # a plan rests on a state: later than this nobody may approve it, or begin with it
    order_s: float = 900.0  # of one order at most: what a gateway that is lost keeps doing
    watch_s: float = 60.0  # between the stages of the blast radius: what goes wrong shows within minutes
    first_share: float = 0.05  # of the gateways in the second stage; the first is one gateway, the third all
    halt_share: float = 0.05  # of the orders given: more failures than this halt it, of one gateway any does

    def needs(self, domain: str, acts: Collection[Setting], enrolled: int) -> Needs:
        """Of a decision that does `acts`, in a city of `enrolled` gateways."""
        gateways = {one.gateway for one in acts}
        if enrolled > 1 and len(gateways) > 1 and len(gateways) >= self.city_wide * enrolled:
            return Needs(2, f"city-wide: {len(gateways)} of {enrolled} gateways")
        if domain not in self.automatic:
            return Needs(1, f"{domain} is not automatic by policy")
        if named := next((pattern for one in acts for pattern in self.person_only if _is(pattern, one)), ""):
            return Needs(1, f"{named} is for persons only by policy")
        return Needs(0, "automatic by policy")

    def worth(self, gain: float, without: float) -> bool:
        """Whether a plan gains enough to be proposed."""
        return gain > 0 and gain >= self.min_gain * abs(without)


def _is(pattern: str, one: Setting) -> bool:
    return pattern == one.quantity or fnmatchcase(f"{one.gateway}/{one.point}", pattern)


KEYS: dict[str, type] = {one.name: float if one.type is float else list for one in fields(Policy)}


def of(table: Mapping[str, Any]) -> Policy:
    """From a table whose values have no fault."""
    found: dict[str, Any] = {key: tuple(one) if isinstance(one, list) else one for key, one in table.items()}
    return Policy(**found)


def fault(key: str, value: object) -> str:
    """What is wrong with a value of the right type; nothing when it may be."""
    if isinstance(value, int | float):
        if key in SHARES and not 0 <= value <= 1:
            return "write a share from 0 to 1"
        if key in ("approve_s", "order_s") and not 1 <= value <= 86_400:
            return "write seconds, from 1 to 86400: an order lasts a day at most"
        if key == "watch_s" and not 0 <= value <= 86_400:
            return "write seconds, from 0 to 86400"
    if key == "person_only" and isinstance(value, Sequence) and any(one.count("/") not in (0, 2) for one in value):
        return 'write quantities, or points as "gateway/device/point" with * and ?'
    return ""


def person(name: str) -> str:
    """Raises Refused for what is no name of a person."""
    if not name.strip() or len(name) > 100 or name.strip() == "policy":
        raise Refused(f"{name!r} is no person's name; give one with --as")
    return name.strip()
