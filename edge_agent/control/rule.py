"""Rule: while conditions on points hold, outputs get a value or a range."""

from collections.abc import Mapping, Sequence
from typing import ClassVar, Self

from edge_agent.cell import ControllerSpec
from edge_agent.control import condition
from edge_agent.control.condition import Condition, Watch
from edge_agent.control.settings import Role, Setting, Slot, Wired
from edge_agent.image import View
from edge_agent.setpoint import Rank, Standing, Wiring, Wish


class Rule:
    """While `when` holds it wishes `value`, or the range `min` to `max`; else `otherwise`, if given, or nothing."""

    KIND: ClassVar[str] = "rule"
    RANK: ClassVar[Rank] = Rank.OPTIMISER
    FALLBACK: ClassVar[str] = "no wish while an input that decides may not be used"
    BUMPLESS: ClassVar[bool] = False
    MISSING: ClassVar[bool | None] = None  # what a condition counts as whose input may not be used
    INPUTS: ClassVar[Mapping[str, Role]] = {"*": Role("the points that `when` speaks of, under names of your own")}
    OUTPUTS: ClassVar[Mapping[str, Role]] = {"output*": Role("what is set while the conditions hold")}
    SETTINGS: ClassVar[Mapping[str, Setting]] = {
        "when": Setting(
            'conditions, as "level > 95 until < 92"; numbers in internal units', kind="texts", required=True
        ),
        "match": Setting("whether any of them is enough or all must hold", "", "any", "text", choices=("any", "all")),
        "delay_s": Setting("they must hold so long before they count", "s", 0.0, low=0, high=86_400),
        "release_s": Setting("they must be clear so long before they do not", "s", 0.0, low=0, high=86_400),
        "value": Setting("wished while they hold; or give min, max or both", "of the output"),
        "min": Setting("while they hold, not below this", "of the output"),
        "max": Setting("while they hold, not above this", "of the output"),
        "otherwise": Setting("wished while they do not hold; without it, nothing", "of the output"),
    }
    EXAMPLE: ClassVar[str] = """
[[controller]]
name = "frost"
kind = "rule"
inputs = { air = "weather/temperature" }
outputs = { output = "pipe-heating" }
settings = { when = ["air < 2 until > 4"], delay_s = 60, value = 100, otherwise = 0 }
"""

    @classmethod
    def build(cls, spec: ControllerSpec, wiring: Wiring) -> Self | None:
        wired = Wired.read(cls, spec, wiring)
        conditions = [one for index in range(len(wired.texts("when"))) if (one := cls._condition(wired, index))]
        if wired.has("value") == (wired.has("min") or wired.has("max")):
            wired.refuse("settings.value", "and min, max do not go together", "give value, or min, max or both")
        if wired.has("min") and wired.has("max"):
            wired.require(wired.number("min") <= wired.number("max"), ("min", "max"), "is above max", "swap them")
        wired.require_reachable("value", "min", "max", "otherwise")
        unused = set(wired.roles) - {one.role for one in conditions}
        if wired.sound and not conditions:
            wired.refuse("settings.when", "has no condition", condition.FORM)
        for role in sorted(unused) if wired.sound else ():
            wired.refuse(f"inputs.{role}", "is in none of the conditions", "use it in `when` or leave it out")
        return cls(wired, conditions) if wired.sound else None

    @staticmethod
    def _condition(wired: Wired, index: int) -> Condition | None:
        text = wired.texts("when")[index]
        try:
            one = condition.read(text)
        except ValueError as error:
            wired.refuse(f"settings.when[{index}]", str(error), condition.FORM, text)
            return None
        if one.role not in wired.roles:
            known = ", ".join(wired.roles) or "none"
            wired.refuse(f"settings.when[{index}]", f"speaks of {one.role}", f"there are the inputs {known}", text)
        return one

    def __init__(self, wired: Wired, conditions: Sequence[Condition]) -> None:
        self.name = wired.name
        self._slots = list(wired.slots("output").values())
        self._watch = Watch(
            conditions,
            wired.senses(""),
            all_of_them=wired.text("match") == "all",
            delay_ns=wired.ns("delay_s"),
            release_ns=wired.ns("release_s"),
            missing=self.MISSING,
        )
        both = wired.number("value")
        self._low = both if wired.has("value") else wired.number("min") if wired.has("min") else float("-inf")
        self._high = both if wired.has("value") else wired.number("max") if wired.has("max") else float("inf")
        self._otherwise = wired.number("otherwise") if wired.has("otherwise") else None

    def decide(self, view: View, standing: Sequence[Standing]) -> Sequence[Wish]:
        held = self._watch.verdict(view)
        if held:
            return [self._held(slot) for slot in self._slots]
        if held is None or self._otherwise is None:
            return ()
        return [slot.exactly(self._otherwise, f"not {self._watch.why}") for slot in self._slots]

    def _held(self, slot: Slot) -> Wish:
        return slot.within(self._low, self._high, self._watch.why)
