"""Looking ahead by sampling: many candidate input sequences, rolled out at once, the best taken and learnt from.

A cross-entropy search with the weights of MPPI (G. Williams et al., Information Theoretic MPC, ICRA 2017): candidates
are the last plan, shifted, plus smooth noise on several scales. Three are always among them: holding the inputs, the
simple rule in closed loop, and the last plan itself; so the choice is never worse, by the model, than any of these.

    J = Σh [ Σn Wn (xn − rn)² + Σm Rm (um(h) − um(h−1))² + penalty of what leaves the states' range ]

Inputs are clipped to their range and rate before the model sees them. A candidate whose states leave their range is
rejected while there is one whose states do not. H steps, B candidates, n states, m inputs that are moved of the model's
k; those of candidates are distances from where the plan begins, in single precision.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edge_agent.image import Floats, Singles
from edge_agent.setpoint import Predictor

Bools = npt.NDArray[np.bool_]

HOLD, RULE, LAST = 0, 1, 2  # candidates that are always there
KNOTS = 4  # of the noise, straight lines between: a plant hardly sees faster wiggles, and a search finds slower ones
SCALES = 16.0  # the smallest noise is so much smaller than the largest
ELITE = 8  # one in so many is learnt from
TEMPERATURE = 0.3  # of the spread of their costs: how much worse one may be and still count
TINY = 1e-12
PENALTY = 1e4  # per squared share of the range that is left; beyond any reference error, so that the least bad wins


@dataclass(frozen=True, slots=True)
class Law:
    """The simple rule: u = base + G x."""

    base: Floats  # (m,)
    gain: Floats  # (m, n)

    def __call__(self, x: Floats) -> Floats:
        """x (n,) → (m,)"""
        moves: Floats = self.base + self.gain @ x
        return moves


@dataclass(frozen=True, slots=True)
class Aim:
    """What is good and what is allowed."""

    reference: Floats  # (n,)
    weight: Floats  # (n,), per squared unit
    move: Floats  # (m,), per squared unit
    x_low: Floats  # (n,), -inf: no limit
    x_high: Floats
    x_scale: Floats  # (n,), 1 / range² of each state: what leaving it weighs
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
        m, n = len(moved), len(model.states)
        self._u: Singles = np.zeros((horizon, candidates, m), np.float32)
        self._x: Singles = np.zeros((horizon, candidates, n), np.float32)
        self._off, self._weighed = np.zeros_like(self._x), np.zeros(horizon * candidates, np.float32)  # to judge in
        self._rooms: dict[int, Singles] = {one: np.zeros((candidates, one), np.float32) for one in (m, n)}
        self._mean: Floats | None = None  # (H, m), as moves, not distances: a plan outlives where it began
        scales = np.geomspace(1.0, 1.0 / SCALES, candidates - LAST - 1)
        self._scale: Singles = np.outer(scales, explore).reshape(-1).astype(np.float32)  # (B − 3) · m
        knots = np.linspace(0, horizon - 1, KNOTS)
        shape = np.array([np.interp(np.arange(horizon), knots, one) for one in np.eye(KNOTS)]).T
        self._shape: Singles = np.ascontiguousarray(shape, np.float32)  # (H, K)
        self._elite = max(candidates // ELITE, 2)
        self._prepared = False

    def begin(self) -> None:
        """Forget the last plan: somebody else has moved the inputs. The first time, prepare the model."""
        self._mean = None
        if not self._prepared:  # its first step for so many candidates takes longer than all others
            x, inputs = np.zeros(len(self._model.states)), np.zeros(len(self._model.inputs))
            self._model.ahead(self._u.shape[1], x, inputs, self._moved)(self._u[0], self._x[0])
            self._prepared = True

    def plan(self, x: Floats, inputs: Floats, aim: Aim, law: Law) -> Choice:
        """The best first moves from the states x (n,) with the model's inputs as they are now (k,)."""
        now = inputs[self._moved]
        with np.errstate(all="ignore"):  # what is not finite is rejected below
            for _ in range(self._rounds):
                self._sample(now, aim)
                self._roll_out(x, inputs, aim, law)
                costs, outside = self._judge(x, aim)
                best = self._learn(now, costs, outside)
        if self._mean is not None:
            self._mean = np.concatenate((self._mean[1:], self._mean[-1:]))
        first = np.clip(now + self._u[0, [best, RULE]], aim.u_low, aim.u_high)
        return Choice(
            first[0],
            first[1],
            float(costs[best]),
            float(costs[RULE]),
            not outside[best],
            bool(np.isfinite(costs[best])),
        )

    def _sample(self, now: Floats, aim: Aim) -> None:
        """Candidates within the range of the inputs, and within their rate where it is limited."""
        horizon, _, m = self._u.shape
        last: Singles = np.zeros((horizon, m), np.float32)
        if self._mean is not None:
            np.subtract(self._mean, now, out=last, casting="same_kind")
        self._u[:, HOLD] = 0.0
        self._u[:, LAST] = last
        noise = self._random.standard_normal((KNOTS, len(self._scale)), np.float32)
        noise *= self._scale
        np.add(last[:, None], np.dot(self._shape, noise).reshape(horizon, -1, m), out=self._u[:, LAST + 1 :])
        u = self._u.reshape(horizon, -1)
        np.maximum(u, self._each(aim.u_low - now), out=u)
        np.minimum(u, self._each(aim.u_high - now), out=u)
        if np.isfinite(aim.step).any():
            before: Singles = np.zeros_like(self._u[0])
            for wished in self._u:
                np.clip(wished, before - aim.step, before + aim.step, out=wished, casting="same_kind")
                before = wished

    def _each(self, row: Floats) -> Singles:
        """`row` for each candidate, side by side, until the next call: numpy is slow at repeating what is short."""
        room = self._rooms[len(row)]
        room[:] = row
        return room.reshape(-1)

    def _roll_out(self, x: Floats, inputs: Floats, aim: Aim, law: Law) -> None:
        """What the model says of them; the rule moves as it sees the states come."""
        step = self._model.ahead(self._u.shape[1], x, inputs, self._moved)
        now = inputs[self._moved]
        began, rate = law(x) - now, aim.step
        low, high = aim.u_low - now, aim.u_high - now
        limited = bool(np.isfinite(rate).any())
        ruled, before = began, np.zeros(len(now))
        for u, seen in zip(self._u, self._x, strict=True):
            ruled = np.minimum(np.maximum(ruled, low), high)
            if limited:
                ruled = before = np.clip(ruled, before - rate, before + rate)
            u[RULE] = ruled
            step(u, seen)
            ruled = began + law.gain @ seen[RULE]

    def _judge(self, begun: Floats, aim: Aim) -> tuple[Singles, Bools]:
        """Cost of each candidate (B,), and whether its states leave their range."""
        x, off = self._x.reshape(len(self._x), -1), self._off.reshape(len(self._off), -1)
        np.maximum(x, self._each(aim.x_low - begun), out=off)
        np.minimum(off, self._each(aim.x_high - begun), out=off)
        np.subtract(x, off, out=off)
        np.multiply(off, off, out=off)
        penalty = self._summed(aim.x_scale)
        np.subtract(x, self._each(aim.reference - begun), out=off)
        np.multiply(off, off, out=off)
        costs = self._summed(aim.weight) + np.float32(PENALTY) * penalty
        moves = self._u.copy()
        moves[1:] -= self._u[:-1]
        moves *= moves
        costs += (moves @ aim.move.astype(np.float32)).sum(0)
        costs[~np.isfinite(costs)] = np.inf
        return costs, ~(penalty == 0.0)

    def _summed(self, weight: Floats) -> Singles:
        """What is off, weighed (n,) and summed over the horizon (B,)."""
        np.dot(self._off.reshape(len(self._weighed), -1), weight.astype(np.float32), self._weighed)
        return np.asarray(self._weighed.reshape(len(self._off), -1).sum(0))

    def _learn(self, now: Floats, costs: Singles, outside: Bools) -> int:
        """Which candidate is best; the mean becomes the average of the good ones, weighted as MPPI does."""
        ranked = costs if outside.all() else np.where(outside, np.inf, costs)
        elite = np.argpartition(ranked, self._elite)[: self._elite]
        elite = elite[np.isfinite(ranked[elite])]
        if not len(elite):
            self._mean = None
            return HOLD
        good = ranked[elite].astype(np.float64)
        best = int(np.argmin(good))
        weight = np.exp((good[best] - good) / max(TEMPERATURE * float(good.max() - good[best]), TINY))
        self._mean = now + (weight / weight.sum()) @ self._u[:, elite]
        return int(elite[best])
