"""`[ledger]` in the aggregator's configuration: under which name, whose cosignatures count, how often it is signed."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

CHECKPOINT_S_MIN = 1.0  # more often than that only wears the gateways' disks


@dataclass(frozen=True, slots=True)
class LedgerSettings:
    """`origin` empty: the name it has, or at the first start one made of its key."""

    origin: str = ""  # as twin.example.org/ledger; it cannot be changed later
    policy: str = ""  # a file of C2SP tlog-policy; empty: more than half of the gateways
    checkpoint_s: float = 60.0  # between two checkpoints, where there is anything new


KEYS: dict[str, type] = {one.name: one.type if isinstance(one.type, type) else str for one in fields(LedgerSettings)}


def of(table: Mapping[str, Any], beside: Path) -> LedgerSettings:
    """From a table whose values have no fault; the policy is named from `beside`."""
    found = dict(table)
    if table.get("policy"):
        found["policy"] = str((beside / table["policy"]).resolve())
    return LedgerSettings(**found)


def fault(key: str, value: object) -> str:
    """What is wrong with a value of the right type, and what to do."""
    if key == "origin" and isinstance(value, str) and any(one.isspace() or one == "+" for one in value):
        return "no space and no plus: twin.example.org/ledger"
    if key == "checkpoint_s" and isinstance(value, int | float) and value < CHECKPOINT_S_MIN:
        return f"at least {CHECKPOINT_S_MIN:g} s"
    return ""
