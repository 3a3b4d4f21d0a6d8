"""What an MPC is to achieve, as its settings say it: references, weights, bounds, and the simple rule beside it."""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import numpy as np

from edge_agent.control.condition import NUMBER
from edge_agent.control.sampling import Aim, Law
from edge_agent.control.settings import Wired
from edge_agent.image import Floats
from edge_agent.setpoint import Predictor, Standing

T = TypeVar("T")

NAME = r"[A-Za-z][\w./-]*"
EQUATION = re.compile(rf"\s*(?P<name>{NAME})\s*=\s*(?P<a>{NUMBER})\s*")
RANGE = re.compile(rf"\s*(?P<name>{NAME})\s*=\s*(?P<a>{NUMBER})?\s*\.\.\s*(?P<b>{NUMBER})?\s*")
RULE = re.compile(
    rf"\s*(?P<name>{NAME})\s*=\s*(?P<a>{NUMBER})\s*(?P<sign>[-+])\s*(?P<b>{NUMBER})\s*\*\s*"
    rf"\(\s*(?P<state>{NAME})\s*-\s*(?P<c>{NUMBER})\s*\)\s*"
)
AS = {
    EQUATION: 'write as "level = 2.5"',
    RANGE: 'write as "level = 0.5..3.2", "level = ..3.2" or "level = 0.5.."',
    RULE: 'write as "pump = 40 - 20 * (level - 2.5)": OUTPUT = BASE ± GAIN * (STATE - REFERENCE)',
}
REFERENCE = "_reference"  # behind a state's name: the role of a set-point that is a point


class Problem:
    """What the settings say about the states and inputs of a model; every fault goes to `wired`."""

    def __init__(self, wired: Wired, model: Predictor) -> None:
        self._wired, self._model = wired, model
        self.moved = [name for name in model.inputs if name in wired.outputs]
        self._check_roles()
        states, moved = model.states, self.moved
        measured = [name for name in model.inputs if name not in wired.outputs]
        set_points = [name for name in states if name + REFERENCE in wired.inputs]
        self.roles = [*states, *measured, *(name + REFERENCE for name in set_points)]  # as they are read
        self._measured = [model.inputs.index(name) for name in measured]
        self._moved = [model.inputs.index(name) for name in moved]
        self._set_points = [states.index(name) for name in set_points]
        self._slots = [wired.outputs[name] for name in moved]
        references = self._each("references", EQUATION, states, lambda part: float(part["a"]))
        weights = self._each("weights", EQUATION, states, lambda part: float(part["a"]))
        bounds = self._each(
            "bounds", RANGE, states, lambda part: (float(part["a"] or "-inf"), float(part["b"] or "inf"))
        )
        moves = self._each("moves", EQUATION, moved, lambda part: float(part["a"]))
        rules = self._each("rule", RULE, moved, lambda part: part)
        wanted = {name for name in states if name in references or name + REFERENCE in wired.inputs}
        if wired.sound and not wanted:
            wired.refuse("settings.references", "are none", f"name one, as {states[0]} = 0, or {states[0]}{REFERENCE}")
        self._reference = np.array([references.get(name, 0.0) for name in states])
        self._weight = np.array([weights.get(name, 1.0) if name in wanted else 0.0 for name in states])
        self._low = np.array([bounds.get(name, (-math.inf, math.inf))[0] for name in states])
        self._high = np.array([bounds.get(name, (-math.inf, math.inf))[1] for name in states])
        span = self._high - self._low
        self._scale = 1.0 / np.where(np.isfinite(span), span, np.maximum(np.abs(self._reference), 1.0)) ** 2
        self._move = np.array([moves.get(name, 0.0) for name in moved])
        wired.require(bool((self._low < self._high).all()), ("bounds",), "leave nothing", "the lower end first")
        self.law = self._law(rules)

    def _check_roles(self) -> None:
        wired, model = self._wired, self._model
        for name in wired.outputs:
            if name not in model.inputs:
                wired.refuse(f"outputs.{name}", "is no input of the twin", f"it has {', '.join(model.inputs)}")
        needed = [*model.states, *(name for name in model.inputs if name not in wired.outputs)]
        for name in needed:
            if name not in wired.roles:
                wired.refuse(f"inputs.{name}", "is missing", "every state and every input that is not moved is needed")
        for name in wired.roles:
            if name not in needed and name.removesuffix(REFERENCE) not in model.states:
                wired.refuse(f"inputs.{name}", "is nothing of the twin", f"it has {', '.join(needed)}")

    def _each(
        self, key: str, form: re.Pattern[str], names: Sequence[str], read: Callable[[re.Match[str]], T]
    ) -> dict[str, T]:
        found = {}
        for number, text in enumerate(self._wired.texts(key)):
            part = form.fullmatch(text)
            if part is None:
                self._wired.refuse(f"settings.{key}[{number}]", "has not the right form", AS[form], text)
            elif part["name"] not in names:
                remedy = f"there are {', '.join(names)}"
                self._wired.refuse(f"settings.{key}[{number}]", f"speaks of {part['name']}", remedy, text)
            else:
                found[part["name"]] = read(part)
        return found

    def _law(self, rules: Mapping[str, re.Match[str]]) -> Law:
        wired, states = self._wired, self._model.states
        for name in self.moved:
            if name not in rules:
                wired.refuse("settings.rule", f"has none for {name}", AS[RULE])
            elif rules[name]["state"] not in states:
                remedy = f"there are {', '.join(states)}"
                wired.refuse("settings.rule", f"speaks of {rules[name]['state']}", remedy, rules[name][0])
        base, gain = np.zeros(len(self.moved)), np.zeros((len(self.moved), len(states)))
        for number, name in enumerate(self.moved if wired.sound else ()):
            line = rules[name]
            slope = float(line["b"]) * (-1.0 if line["sign"] == "-" else 1.0)
            gain[number, states.index(line["state"])] = slope
            base[number] = float(line["a"]) - slope * float(line["c"])
        return Law(base, gain)

    def split(self, seen: Floats, applied: Floats) -> tuple[Floats, Floats]:
        """States (n,) and inputs (k,) of the model, of what was read (as `roles`) and what is applied (m,)."""
        n = len(self._model.states)
        inputs = np.empty(len(self._model.inputs))
        inputs[self._measured] = seen[n : n + len(self._measured)]
        inputs[self._moved] = applied
        return seen[:n], inputs

    def aim(self, seen: Floats, now: Sequence[Standing], period_ns: int) -> Aim:
        """With the references of this moment, and within what higher ranks have left of the outputs."""
        reference = self._reference
        if self._set_points:
            reference = reference.copy()
            reference[self._set_points] = seen[-len(self._set_points) :]
        return Aim(
            reference,
            self._weight,
            self._move,
            self._low,
            self._high,
            self._scale,
            np.array([one.low for one in now]),
            np.array([one.high for one in now]),
            np.array([slot.output.slew_per_s for slot in self._slots]) * (period_ns / 1e9),
        )
