"""Who will arrive in a junction's lanes, from counters further upstream: what its own loops cannot see yet.

A counter's vehicles reach the advance loop of a lane after the free travel time, drawn apart on the way as a platoon
is (Robertson, TRANSYT, RRL report LR 253, 1969; here a triangle, a third of the way wide). Which share of them turns
towards the lane is learned from history: arrivals regressed on delayed counts, no share below 0 (Lawson & Hanson,
Solving Least Squares Problems, 1974, §23), and a remainder that comes from nowhere. For arrivals further ahead than a
counter's delay that counter knows nothing yet; so there is one set of shares for each few seconds of look-ahead.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.optimize import nnls

from aggregator.twin import Floats

AHEADS_S = (0, 4, 8, 12, 16, 20, 24)  # look-ahead from which each set of shares counts
SPREAD = 1 / 3  # of a delay: half the width of a platoon after it
FORETOLD_S, HEARD_S = 30, 60  # seconds that are foretold, and from how many that were heard
ROWS_MIN = 300  # seconds of history, below which shares are chance


@dataclass(frozen=True, eq=False)
class Arrivals:
    """Learned shares. `delay_s` (c, l) from counter to advance loop, NaN where it does not lead there."""

    delay_s: Floats
    shares: Floats  # (aheads, c, l)
    rest: Floats  # (aheads, l) vehicles a second that no counter tells of

    def expected(self, heard: Floats, horizon_s: int) -> Floats:
        """(horizon, l) vehicles that reach the advance loop in each second from now.

        `heard` (T, c): counters of the last T seconds, one row a second, the newest last.
        """
        passed = np.zeros((HEARD_S, self.delay_s.shape[0]))
        recent = np.maximum(np.diff(heard[-HEARD_S - 1 :], axis=0), 0.0)[::-1]  # the newest first
        passed[: len(recent)] = recent
        rest, weights = self.response
        found: Floats = rest + np.einsum("sltc,tc->sl", weights, passed)
        return found[:horizon_s]

    @cached_property
    def response(self) -> tuple[Floats, Floats]:
        """(seconds, l) that come anyway, and (seconds, l, T, c) for each that passed so many seconds ago."""
        c, lanes = self.delay_s.shape
        weights = np.zeros((FORETOLD_S, lanes, HEARD_S, c))
        step = np.searchsorted(AHEADS_S, np.arange(FORETOLD_S), side="right") - 1
        for i, k in zip(*np.nonzero(~np.isnan(self.delay_s)), strict=True):
            first, share = kernel(float(self.delay_s[i, k]))
            for ahead in range(FORETOLD_S):
                for lag, part in enumerate(share, first):
                    if 0 <= lag - ahead < HEARD_S:
                        weights[ahead, k, lag - ahead, i] = self.shares[step[ahead], i, k] * part
        return self.rest[step], weights


def kernel(delay_s: float) -> tuple[int, Floats]:
    """First second and weights (sum 1) of the triangle in which those who passed together arrive."""
    half = max(1.0, SPREAD * delay_s)
    first = int(np.floor(delay_s - half))
    seconds = np.arange(first, int(np.ceil(delay_s + half)) + 1)
    weight = np.maximum(1 - np.abs(seconds - delay_s) / half, 0.0)
    return first, weight / weight.sum()


def delayed(passed: Floats, delay_s: Floats, ahead: int) -> Floats:
    """(T, c, l) of the counts up to t, what arrives at t + ahead. 0 where too little is known yet."""
    T, (c, lanes) = len(passed), delay_s.shape
    found = np.zeros((T, c, lanes))
    for i, k in zip(*np.nonzero(~np.isnan(delay_s)), strict=True):
        first, weight = kernel(float(delay_s[i, k]))
        for lag, share in enumerate(weight, first):
            back = lag - ahead  # those that passed so long ago; what is still to pass nobody knows
            if 0 <= back < T:
                found[back:, i, k] += share * passed[: T - back, i]
    return found


def learned(entered: Sequence[Floats], arrived: Sequence[Floats], delay_s: Floats) -> Arrivals:
    """From days of history: `entered` (T, c) and `arrived` (T, l) counters, a row a second.

    Raises ValueError where there is too little of it.
    """
    if sum(map(len, entered)) < ROWS_MIN:
        raise ValueError(f"arrivals: {sum(map(len, entered))} seconds of history; give at least {ROWS_MIN}")
    lanes, counters = delay_s.shape[1], delay_s.shape[0]
    shares, rest = np.zeros((len(AHEADS_S), counters, lanes)), np.zeros((len(AHEADS_S), lanes))
    came = [np.diff(one, axis=0, prepend=one[:1]) for one in arrived]
    passed = [np.diff(one, axis=0, prepend=one[:1]) for one in entered]
    for step, ahead in enumerate(AHEADS_S):
        signals = np.concatenate([delayed(one, delay_s, ahead)[: len(one) - ahead or None] for one in passed])
        y = np.concatenate([one[ahead:] for one in came])
        for lane in range(lanes):
            known = np.flatnonzero(~np.isnan(delay_s[:, lane]))
            A = np.column_stack([signals[:, known, lane], np.ones(len(y))])
            found, _ = nnls(A, y[:, lane])
            shares[step, known, lane], rest[step, lane] = found[:-1], found[-1]
    return Arrivals(delay_s, shares, rest)
