"""Conditions on points, as people write them: `level > 95 until < 92`, `leak == 1`.

The number behind `until` is where a condition that holds ends again (hysteresis); without it, where it began. A
`Watch` joins several and gives them time: they must hold for `delay_ns` before they count, and be clear for
`release_ns` before they do not. What may not be used is neither true nor false: it counts as `missing` says.
"""

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from edge_agent.control.sense import Sense
from edge_agent.image import View

NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
PATTERN = re.compile(
    rf"\s*(?P<role>[A-Za-z]\w*)\s*(?P<sign>>=|<=|==|!=|>|<)\s*(?P<at>{NUMBER})"
    rf"(?:\s+until\s*(?P<back>>=|<=|>|<)\s*(?P<clear>{NUMBER}))?\s*"
)
SIGNS: dict[str, Callable[[float, float], bool]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
}
FORM = 'write as "level > 95", "level > 95 until < 92" or "leak == 1", with roles of `inputs`'


@dataclass(frozen=True, slots=True)
class Condition:
    text: str
    role: str
    sign: str
    at: float
    back: str = ""
    clear: float = 0.0

    def holds(self, value: float, held: bool) -> bool:
        """Whether it holds for `value`, having `held` before or not."""
        if held and self.back:
            return not SIGNS[self.back](value, self.clear)
        return SIGNS[self.sign](value, self.at)


def read(text: str) -> Condition:
    """Raises ValueError that says what is wrong with `text`."""
    found = PATTERN.fullmatch(text)
    if found is None:
        raise ValueError("is no condition")
    back = found["back"] or ""
    one = Condition(text, found["role"], found["sign"], float(found["at"]), back, float(found["clear"] or 0))
    if back and (one.sign[0] not in "<>" or back[0] == one.sign[0]):
        raise ValueError("ends on the side on which it begins")
    if back and (one.clear > one.at if one.sign[0] == ">" else one.clear < one.at):
        raise ValueError("ends before it begins")
    return one


class Watch:
    def __init__(
        self,
        conditions: Sequence[Condition],
        senses: Mapping[str, Sense],
        *,
        all_of_them: bool,
        delay_ns: int,
        release_ns: int,
        missing: bool | None,
    ) -> None:
        self._conditions, self._senses = conditions, senses
        self._held = [False] * len(conditions)
        self._all, self._missing = all_of_them, missing
        self._delay_ns, self._release_ns = delay_ns, release_ns
        self._state: bool | None = None
        self._other_ns: int | None = None  # since when the conditions say otherwise than `_state`
        self._unseen = False  # whether what was found now rests on a point that never came
        self._blind = False  # whether `_state` does
        self.why = ""

    def verdict(self, view: View) -> bool | None:
        """True, False, or None when what is missing decides and nothing is to be assumed of it.

        A verdict on what was never seen, right after the start, gives way to the first reading without a delay.
        """
        now = self._joined(view)
        if now is None or self._state is None or now == self._state or self._blind:
            self._state, self._other_ns, self._blind = now, None, self._unseen
            return now
        if self._other_ns is None:
            self._other_ns = view.now_ns
        if view.now_ns - self._other_ns >= (self._delay_ns if now else self._release_ns):
            self._state, self._other_ns, self._blind = now, None, self._unseen
        return self._state

    def _joined(self, view: View) -> bool | None:
        values = {role: sense.read(view) for role, sense in self._senses.items()}
        verdicts = [self._one(number, values[one.role]) for number, one in enumerate(self._conditions)]
        deciding = self._first(verdicts, not self._all)  # any: the first that holds; all: the first that does not
        if deciding is not None:
            return self._because(deciding, not self._all)
        unknown = self._first(verdicts, None)
        return self._because(unknown or 0, None if unknown is not None else self._all)

    def _one(self, number: int, value: float | None) -> bool | None:
        if value is None:
            return self._missing
        self._held[number] = self._conditions[number].holds(value, self._held[number])
        return self._held[number]

    @staticmethod
    def _first(verdicts: Sequence[bool | None], wanted: bool | None) -> int | None:
        return next((number for number, one in enumerate(verdicts) if one is wanted), None)

    def _because(self, number: int, verdict: bool | None) -> bool | None:
        one = self._conditions[number]
        self._unseen = self._senses[one.role].received_ns < 0
        self.why = f"{one.text} (never seen)" if self._unseen else one.text
        return verdict
