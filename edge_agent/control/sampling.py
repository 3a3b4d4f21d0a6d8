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
import numpy.typing as npt

from edge_agent.image import Floats
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


def run_or_places(places: Sequence[int]) -> slice | npt.NDArray[np.intp]:
    """An index for `places`: a slice, which is much faster, where they follow each other."""
    first, count = places[0], len(places)
    return slice(first, first + count) if list(places) == list(range(first, first + count)) else np.array(places)


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
        self._model, self._moved = model, run_or_places(moved)
        self._rounds = rounds
        self._random = np.random.default_rng(seed)
        m, n, k = len(moved), len(model.states), len(model.inputs)
        self._u: Floats = np.zeros((horizon, candidates, m))
        self._x: Floats = np.zeros((horizon, candidates, n))
        self._v: Floats = np.zeros((horizon, candidates, k))
        self._rooms: dict[int, Floats] = {one: np.zeros((candidates, one)) for one in (m, n, k)}
        self._off: Floats = np.zeros((horizon, candidates, n))  # room to judge in
        self._mean: Floats | None = None  # (H, m)
        scales = np.geomspace(1.0, 1.0 / SCALES, candidates - LAST - 1)
        self._scale: Floats = np.outer(scales, explore).reshape(-1)  # (B − 3) · m
        knots = np.linspace(0, horizon - 1, KNOTS)
        self._shape: Floats = np.array([np.interp(np.arange(horizon), knots, one) for one in np.eye(KNOTS)]).T  # (H, K)
        self._elite = max(candidates // ELITE, 2)
        self._prepared = False

    def begin(self) -> None:
        """Forget the last plan: somebody else has moved the inputs. The first time, prepare the model."""
        self._mean = None
        if not self._prepared:  # its first step for so many candidates takes longer than all others
            self._model.predict(self._x[0], self._v[0])
            self._prepared = True

    def plan(self, x: Floats, inputs: Floats, aim: Aim, law: Law) -> Choice:
        """The best first moves from the states x (n,) with the model's inputs as they are now (k,)."""
        now = inputs[self._moved]
        self._v.reshape(len(self._v), -1)[:] = self._each(inputs)
        with np.errstate(all="ignore"):  # what is not finite is rejected below
            for _ in range(self._rounds):
                self._sample(now, aim)
                self._roll_out(x, now, aim, law)
                costs, outside = self._judge(now, aim)
                best = self._learn(costs, outside)
        if self._mean is not None:
            self._mean = np.concatenate((self._mean[1:], self._mean[-1:]))
        return Choice(
            self._u[0, best].copy(),
            self._u[0, RULE].copy(),
            float(costs[best]),
            float(costs[RULE]),
            not outside[best],
            bool(np.isfinite(costs[best])),
        )

    def _sample(self, now: Floats, aim: Aim) -> None:
        """Candidates within the range of the inputs, and within their rate where it is limited."""
        horizon, _, m = self._u.shape
        if self._mean is None:
            self._mean = np.tile(now, (horizon, 1))
        self._u[:, HOLD] = now
        self._u[:, LAST] = self._mean
        noise = self._shape @ (self._random.standard_normal((KNOTS, len(self._scale))) * self._scale)
        self._u[:, LAST + 1 :] = self._mean[:, None] + noise.reshape(horizon, -1, m)
        u = self._u.reshape(horizon, -1)
        np.maximum(u, self._each(aim.u_low), out=u)
        np.minimum(u, self._each(aim.u_high), out=u)
        if np.isfinite(aim.step).any():
            before: Floats = np.broadcast_to(now, self._u.shape[1:])
            for wished in self._u:
                np.clip(wished, before - aim.step, before + aim.step, out=wished)
                before = wished
        self._v[:, :, self._moved] = self._u

    def _each(self, row: Floats) -> Floats:
        """`row` for each candidate, side by side, until the next call: numpy is slow at repeating what is short."""
        room = self._rooms[len(row)]
        room[:] = row
        return room.reshape(-1)

    def _roll_out(self, x: Floats, now: Floats, aim: Aim, law: Law) -> None:
        """What the model says of them; the rule moves as it sees the states come."""
        states: Floats = np.empty_like(self._x[0])
        states[:] = x
        limited = bool(np.isfinite(aim.step).any())
        low, high = aim.u_low, aim.u_high
        ruled = now
        for u, v, seen in zip(self._u[:, RULE], self._v, self._x, strict=True):
            if limited:
                low, high = np.maximum(aim.u_low, ruled - aim.step), np.minimum(aim.u_high, ruled + aim.step)
            ruled = np.minimum(np.maximum(law(states[RULE]), low), high)
            u[:] = ruled
            v[RULE, self._moved] = ruled
            states = self._model.predict(states, v)
            seen[:] = states

    def _judge(self, now: Floats, aim: Aim) -> tuple[Floats, Bools]:
        """Cost of each candidate (B,), and whether its states leave their range."""
        x, off = self._x.reshape(len(self._x), -1), self._off.reshape(len(self._off), -1)
        np.maximum(x, self._each(aim.x_low), out=off)
        np.minimum(off, self._each(aim.x_high), out=off)
        np.subtract(x, off, out=off)
        np.multiply(off, off, out=off)
        penalty = (self._off @ aim.x_scale).sum(0)
        np.subtract(x, self._each(aim.reference), out=off)
        np.multiply(off, off, out=off)
        costs = (self._off @ aim.weight).sum(0) + PENALTY * penalty
        moves = self._u.copy()
        moves[1:] -= self._u[:-1]
        moves[0] -= now
        moves *= moves
        costs += (moves @ aim.move).sum(0)
        costs[~np.isfinite(costs)] = np.inf
        return costs, ~(penalty == 0.0)

    def _learn(self, costs: Floats, outside: Bools) -> int:
        """Which candidate is best; the mean becomes the average of the good ones, weighted as MPPI does."""
        ranked = costs if outside.all() else np.where(outside, np.inf, costs)
        elite = np.argpartition(ranked, self._elite)[: self._elite]
        elite = elite[np.isfinite(ranked[elite])]
        if not len(elite):
            self._mean = None
            return HOLD
        good = ranked[elite]
        best = int(np.argmin(good))
        weight = np.exp((good[best] - good) / max(TEMPERATURE * float(good.max() - good[best]), TINY))
        self._mean = (weight / weight.sum()) @ self._u[:, elite]
        return int(elite[best])
