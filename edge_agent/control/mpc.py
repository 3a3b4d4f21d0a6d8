"""MPC on the twin: looks ahead through the model, within the ranges of inputs and states, beside a simple rule.

The model may be wrong, so a Simplex envelope keeps it honest (L. Sha, Using Simplicity to Control Complexity, IEEE
Software 2001): what it wants may differ from the simple rule by a share of the output's range; beyond it is clamped
and counted, and after so many times in a row the rule takes over until the gateway is started again.
"""

import math
from collections.abc import Mapping, Sequence
from typing import ClassVar, Self

import numpy as np

from edge_agent.cell import ControllerSpec
from edge_agent.control.motion import follows
from edge_agent.control.problem import Problem
from edge_agent.control.sampling import Sampler
from edge_agent.control.sense import Senses
from edge_agent.control.settings import Role, Setting, Wired
from edge_agent.image import Floats, View
from edge_agent.setpoint import Predictor, Rank, Standing, Wiring, Wish


class Mpc:
    """Moves several outputs at once so that the twin's states go to their references and stay within their bounds."""

    KIND: ClassVar[str] = "mpc"
    RANK: ClassVar[Rank] = Rank.OPTIMISER
    FALLBACK: ClassVar[str] = (
        "no wish while a state, a measured input or a reference may not be used; the simple rule when the model gives "
        "no numbers, or has left the envelope too often"
    )
    BUMPLESS: ClassVar[bool] = True
    INPUTS: ClassVar[Mapping[str, Role]] = {
        "*": Role("every state of the twin and every input of it that is not moved, by its name; STATE_reference")
    }
    OUTPUTS: ClassVar[Mapping[str, Role]] = {"*": Role("inputs of the twin that are moved, by their names")}
    SETTINGS: ClassVar[Mapping[str, Setting]] = {
        "twin": Setting("name of the [[twin]]", kind="text", required=True),
        "references": Setting('wanted states, as "level = 2.5"; others are free', "of the state", (), "texts"),
        "weights": Setting('of a squared error of 1, as "level = 4"; else 1', "1", (), "texts"),
        "bounds": Setting('range of states, as "level = 0.5..3.2"', "of the state", (), "texts"),
        "moves": Setting('cost of a squared change of 1, as "pump = 0.01"; else 0', "1", (), "texts"),
        "rule": Setting('for each output, as "pump = 40 - 20 * (level - 2.5)"', kind="texts", required=True),
        "envelope": Setting("share of the output's range that it may differ from the rule", "1", 0.5, low=0, high=1),
        "excursions": Setting("so many in a row and the rule takes over", "1", 10, "whole", low=1, high=10_000),
        "horizon": Setting("steps of the twin to look ahead", "1", 10, "whole", low=1, high=60),
        "candidates": Setting("sequences that are tried in one go", "1", 64, "whole", low=8, high=1024),
        "rounds": Setting("goes in one decision", "1", 1, "whole", low=1, high=10),
        "explore": Setting("the largest noise, as share of the output's range", "1", 0.3, low=0.001, high=1),
        "seed": Setting("of the noise: the same seed decides the same", "1", 1, "whole", low=0),
    }
    EXAMPLE: ClassVar[str] = """
[[controller]]
name = "reservoir"
kind = "mpc"
inputs = { level = "tank/level", demand = "network/flow" }
outputs = { pump = "pump-speed" }
[controller.settings]
twin = "tank"
references = ["level = 2.5"]
bounds = ["level = 0.5..3.2"]
moves = ["pump = 0.001"]
rule = ["pump = 40 - 20 * (level - 2.5)"]
"""

    @classmethod
    def build(cls, spec: ControllerSpec, wiring: Wiring) -> Self | None:
        wired = Wired.read(cls, spec, wiring)
        model = wiring.predictor(wired.text("twin")) if wired.has("twin") else None
        if model is None:
            wired.refuse("settings.twin", "is no twin of this gateway", "name a [[twin]]", wired.text("twin"))
            return None
        problem = Problem(wired, model)
        return cls(wired, model, problem) if wired.sound else None

    def __init__(self, wired: Wired, model: Predictor, problem: Problem) -> None:
        self.name = wired.name
        self._model, self._problem = model, problem
        self._twin = wired.text("twin")
        self._slots = [wired.outputs[name] for name in problem.moved]
        self._senses = Senses([wired.inputs[role] for role in problem.roles])
        self._span = np.array([slot.span for slot in self._slots])
        self._sampler = Sampler(
            model,
            [model.inputs.index(name) for name in problem.moved],
            horizon=wired.whole("horizon"),
            candidates=wired.whole("candidates"),
            rounds=wired.whole("rounds"),
            explore=wired.number("explore") * self._span,
            seed=wired.whole("seed"),
        )
        self._envelope, self._most = wired.number("envelope") * self._span, wired.whole("excursions")
        self._in_a_row = 0
        self.excursions_total = 0
        self._planned_ns: int | None = None
        self._moves: Floats = np.zeros(len(self._slots))
        self._why = ""

    @property
    def disabled(self) -> bool:
        """Whether the model has left the envelope too often and the rule decides."""
        return self._in_a_row >= self._most

    def decide(self, view: View, standing: Sequence[Standing]) -> Sequence[Wish]:
        seen = self._senses.read(view)
        if seen is None:
            self._planned_ns = None
            return ()
        now = [standing[slot.index] for slot in self._slots]
        applied = np.array(
            [
                one.value if math.isfinite(one.value) else slot.output.safe
                for one, slot in zip(now, self._slots, strict=True)
            ]
        )
        if self._planned_ns is None or any(follows(one, self.name) for one in now):
            self._sampler.begin()  # begin from what is applied, and plan from the next step on
            self._moves, self._why, self._planned_ns = applied, "takes over", view.now_ns - self._model.period_ns
        elif view.now_ns - self._planned_ns >= self._model.period_ns:
            self._planned_ns = view.now_ns
            self._plan(seen, applied, now)
        model = "" if self.disabled else self._twin
        return [
            slot.exactly(float(value), self._why, model) for slot, value in zip(self._slots, self._moves, strict=True)
        ]

    def _plan(self, seen: Floats, applied: Floats, now: Sequence[Standing]) -> None:
        problem = self._problem
        x, inputs = problem.split(seen, applied)
        aim, law = problem.aim(seen, now, self._model.period_ns), problem.law
        choice = self._sampler.plan(x, inputs, aim, law)
        if self.disabled:
            self._moves, self._why = choice.ruled, "the model is disabled: the simple rule"
            return
        wanted = choice.moves if choice.finite else choice.ruled
        low, high = choice.ruled - self._envelope, choice.ruled + self._envelope
        within = bool(choice.finite and (wanted >= low).all() and (wanted <= high).all())
        self._in_a_row = 0 if within else self._in_a_row + 1
        self.excursions_total += not within
        self._moves = np.clip(wanted, low, high)
        self._why = f"cost {choice.cost:.4g}, the rule's {choice.rule_cost:.4g}"
        if not choice.feasible:
            self._why += "; the bounds cannot be kept"
