"""Interlock: a local safety rule. It narrows what everybody else may wish, and nobody can widen it again."""

from typing import ClassVar

from edge_agent.control.rule import Rule
from edge_agent.setpoint import Rank


class Interlock(Rule):
    """A rule of the highest rank whose inputs must be there: what it cannot see counts as dangerous.

    It says nothing while the conditions do not hold, unless `otherwise` is given. Not a SIL-rated function
    (IEC 61508): hardware interlocks stay where they are.
    """

    KIND: ClassVar[str] = "interlock"
    RANK: ClassVar[Rank] = Rank.INTERLOCK
    FALLBACK: ClassVar[str] = "a condition whose input may not be used counts as if it held"
    MISSING: ClassVar[bool | None] = True
    EXAMPLE: ClassVar[str] = """
[[controller]]
name = "dry-run"
kind = "interlock"
inputs = { level = "well/level", leak = "cellar/leak" }
outputs = { output = "pump" }
settings = { when = ["level < 0.4 until > 0.6", "leak == 1"], release_s = 30, value = 0 }
"""
