"""Looking ahead by sampling: many candidate input sequences, rolled out at once, the best taken and learnt from.

A cross-entropy search with the weights of MPPI (G. Williams et al., Information Theoretic MPC, ICRA 2017): candidates
are the last plan, shifted, plus smooth noise on several scales. Three are always among them: holding the inputs, the
simple rule in closed loop, and the last plan itself; so the choice is never worse, by the model, than any of these.

    J = Σh [ Σn Wn (xn − rn)² + Σm Rm (um(h) − um(h−1))² + penalty of what leaves the states' range ]

Inputs are clipped to their range and rate before the model sees them. A candidate whose states leave their range is
rejected while there is one whose states do not. Arrays float64; H steps, B candidates, n states, m inputs that are
moved of the model's k.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edge_agent.image import Floats
from edge_agent.setpoint import Predictor

HOLD, RULE, LAST = 0, 1, 2  # candidates that are always there
KNOTS = 4  # of the noise, straight lines between: a plant hardly sees faster wiggles, and a search finds slower ones
SCALES = 16.0  # the smallest noise is so much smaller than the largest
TEMPERATURE = 0.1  # of the spread of the costs: how much worse a candidate may be and still be learnt from
PENALTY = 1e4  # per squared share of the range that is left; beyond any reference error, so that the least bad wins


@dataclass(frozen=True, slots=True)
class Law:
    """The simple rule, one line for each moved input: u = base + gain · (x[state] − reference)."""

    state: Sequence[int]
    base: Floats  # (m,)
    gain: Floats
    reference: Floats

    def __call__(self, x: Floats) -> Floats:
        """x (n,) → (m,)"""
        moves: Floats = self.base + self.gain * (x[list(self.state)] - self.reference)
        return moves


@dataclass(frozen=True, slots=True)
class Aim:
    """What is good and what is allowed."""

    reference: Floats  # (n,)
    weight: Floats  # (n,), per squared unit
    move: Floats  # (m,), per squared unit
    x_low: Floats  # (n,), -inf: no limit
    x_high: Floats
    u_low: Floats  # (m,)
    u_high: Floats
    step: Floats  # (m,), largest change from one step to the next; inf: any


@dataclass(frozen=True, slots=True)
class Choice:
    moves: Floats  # (m,), of the first step
    ruled: Floats  # (m,), what the simple rule does in the first step
    cost: float
    rule_cost: float
    feasible: bool  # the states stay in their range, as far as the model sees
    finite: bool  # the model gave numbers for it


class Sampler:
    """Plans for one model. `seed` makes it the same every time; the state is the last plan."""

    def __init__(
        self,
        model: Predictor,
        moved: Sequence[int],
        *,
        horizon: int,
        candidates: int,
        rounds: int,
        explore: Floats,
        seed: int,
    ) -> None:
        self._model, self._moved = model, list(moved)
        self._rounds = rounds
        self._random = np.random.default_rng(seed)
        m, n, k = len(moved), len(model.states), len(model.inputs)
        self._u: Floats = np.zeros((horizon, candidates, m))
        self._x: Floats = np.zeros((horizon, candidates, n))
        self._v: Floats = np.zeros((candidates, k))
        self._mean: Floats | None = None  # (H, m)
        scales = np.geomspace(1.0, 1.0 / SCALES, candidates - LAST - 1)
        self._scale: Floats = np.outer(scales, explore).reshape(-1)  # (B − 3) · m
        knots = np.linspace(0, horizon - 1, KNOTS)
        self._shape: Floats = np.array([np.interp(np.arange(horizon), knots, one) for one in np.eye(KNOTS)]).T  # (H, K)

    def forget(self) -> None:
        """The last plan is none any more: somebody else has moved the inputs."""
        self._mean = None

    def plan(self, x: Floats, inputs: Floats, aim: Aim, law: Law) -> Choice:
        """The best first moves from the states x (n,) with the model's inputs as they are now (k,)."""
        now = inputs[self._moved]
        self._v[:] = inputs
        with np.errstate(all="ignore"):  # what is not finite is rejected below
            for _ in range(self._rounds):
                self._sample(now)
                self._roll_out(x, now, aim, law)
                costs, feasible = self._judge(now, aim)
                best = self._learn(costs, feasible)
        self._shift()
        return Choice(
            self._u[0, best].copy(),
            self._u[0, RULE].copy(),
            float(costs[best]),
            float(costs[RULE]),
            bool(feasible[best]),
            bool(np.isfinite(costs[best])),
        )

    def _sample(self, now: Floats) -> None:
        horizon, _, m = self._u.shape
        if self._mean is None:
            self._mean = np.tile(now, (horizon, 1))
        self._u[:, HOLD] = now
        self._u[:, LAST] = self._mean
        noise = self._shape @ (self._random.standard_normal((KNOTS, len(self._scale))) * self._scale)
        self._u[:, LAST + 1 :] = self._mean[:, None] + noise.reshape(horizon, -1, m)

    def _roll_out(self, x: Floats, now: Floats, aim: Aim, law: Law) -> None:
        """Bring the candidates within range and rate, and fill in what the model says of them."""
        before: Floats = np.tile(now, (self._u.shape[1], 1))
        states: Floats = np.tile(x, (self._u.shape[1], 1))
        limited = bool(np.isfinite(aim.step).any())
        for wished, seen in zip(self._u, self._x, strict=True):
            wished[RULE] = law(states[RULE])
            if limited:
                np.clip(wished, before - aim.step, before + aim.step, out=wished)
            np.clip(wished, aim.u_low, aim.u_high, out=wished)
            self._v[:, self._moved] = wished
            states = self._model.predict(states, self._v)
            seen[:] = states
            before = wished

    def _judge(self, now: Floats, aim: Aim) -> tuple[Floats, np.ndarray[tuple[int], np.dtype[np.bool_]]]:
        """Cost of each candidate (B,), and whether its states stay in their range."""
        error = self._x - aim.reference
        costs = np.einsum("hbn,hbn,n->b", error, error, aim.weight)
        moves = np.diff(self._u, axis=0, prepend=np.broadcast_to(now, (1, *self._u.shape[1:])))
        costs += np.einsum("hbm,hbm,m->b", moves, moves, aim.move)
        outside = np.maximum(np.maximum(self._x - aim.x_high, aim.x_low - self._x), 0.0)
        span = aim.x_high - aim.x_low
        outside /= np.where(np.isfinite(span), span, np.maximum(np.abs(aim.reference), 1.0))
        costs += PENALTY * np.einsum("hbn,hbn->b", outside, outside)
        costs[~np.isfinite(costs)] = np.inf
        return costs, ~outside.any(axis=(0, 2)) & np.isfinite(costs)

    def _learn(self, costs: Floats, feasible: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> int:
        """Which candidate is best; the mean becomes the average of the good ones, weighted as MPPI does."""
        ranked = np.where(feasible, costs, np.inf) if feasible.any() else costs
        best = int(np.argmin(ranked))
        if not np.isfinite(ranked[best]):
            self._mean = None
            return HOLD
        finite = ranked[np.isfinite(ranked)]
        spread = max(TEMPERATURE * float(np.median(finite) - ranked[best]), 1e-12)
        weight = np.exp((ranked[best] - ranked) / spread)
        self._mean = np.einsum("hbm,b->hm", self._u, weight / weight.sum())
        return best

    def _shift(self) -> None:
        if self._mean is not None:
            self._mean = np.concatenate((self._mean[1:], self._mean[-1:]))
