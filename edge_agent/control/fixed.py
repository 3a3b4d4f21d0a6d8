"""Fixed: one value, for ever. What an output does when nobody has a better idea."""

from collections.abc import Mapping, Sequence
from typing import ClassVar, Self

from edge_agent.cell import ControllerSpec
from edge_agent.control.settings import Role, Setting, Wired
from edge_agent.image import View
from edge_agent.setpoint import Rank, Standing, Wiring, Wish


class Fixed:
    """Wishes `value` for every output, whatever happens."""

    KIND: ClassVar[str] = "fixed"
    RANK: ClassVar[Rank] = Rank.DEFAULT
    FALLBACK: ClassVar[str] = "has no inputs, so it always wishes its value"
    BUMPLESS: ClassVar[bool] = False
    INPUTS: ClassVar[Mapping[str, Role]] = {}
    OUTPUTS: ClassVar[Mapping[str, Role]] = {"output*": Role("what is set")}
    SETTINGS: ClassVar[Mapping[str, Setting]] = {"value": Setting("what it is set to", "of the output", required=True)}
    EXAMPLE: ClassVar[str] = """
[[controller]]
name = "idle"
kind = "fixed"
outputs = { output = "fan" }
settings = { value = 20 }
"""

    @classmethod
    def build(cls, spec: ControllerSpec, wiring: Wiring) -> Self | None:
        wired = Wired.read(cls, spec, wiring)
        wired.require_reachable("value")
        return cls(wired) if wired.sound else None

    def __init__(self, wired: Wired) -> None:
        self.name = wired.name
        value = wired.number("value")
        self._wishes = [slot.exactly(value, f"always {value:g}") for slot in wired.slots("output").values()]

    def decide(self, view: View, standing: Sequence[Standing]) -> Sequence[Wish]:
        return self._wishes
