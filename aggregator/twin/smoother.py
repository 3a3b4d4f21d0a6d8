"""What later readings say of earlier steps: within the lag, and at night over a whole day.

Gaussian: Rauch, Tung & Striebel (1965), exact for a linear model. Ensemble: the members' own past (Evensen & van
Leeuwen 2000), localised like the filter. The nightly smoother is the same over a fuser with a day's lag that is fed
from history, where the readings are that came too late for the live one.
"""

from collections.abc import Sequence

import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve, pinvh

from aggregator.twin import BadModel, Floats
from aggregator.twin.belief import Belief
from aggregator.twin.ensemble import Ensemble
from aggregator.twin.fuser import Checkpoint, Fuser
from aggregator.twin.gaussian import Gaussian, moved, square
from aggregator.twin.model import Model


def smooth(fuser: Fuser, start: int | None = None) -> list[Belief]:
    """Each step from `start` (the oldest that is held) to now, given all readings.

    Raises BeyondLag, and BadModel for a scheme that keeps too little to smooth by.
    """
    if isinstance(fuser.scheme, Ensemble):
        return through_members(fuser, fuser.scheme, fuser.checkpoint(fuser.held if start is None else start))
    if isinstance(fuser.scheme, Gaussian) and fuser.scheme.rank is None:
        return backwards(fuser.model, fuser.window(start))
    raise BadModel(f"domain {fuser.model.name}: only Gaussian() of full rank and Ensemble can be smoothed")


def backwards(model: Model, window: Sequence[Checkpoint]) -> list[Belief]:
    """J = P Fᵀ P_f⁻¹;  x + J (x' - x_f),  P + J (P' - P_f) Jᵀ, from the newest back."""
    smoothed = [window[-1].belief]
    for one in reversed(window[:-1]):
        smoothed.append(back(model, one, smoothed[-1]))
    return smoothed[::-1]


def back(model: Model, one: Checkpoint, after: Belief) -> Belief:
    """One step. The covariance as [C - J F C, J √Q, J C'], whose square has no difference in it."""
    belief, q_scale = one.belief, one.calibration.q_scale
    C = belief.factor()
    diag, B = model.Q(belief.x, after.k)
    x, FC = moved(model, belief, C, model.exogenous(after.k), after.k)
    noise = np.sqrt(q_scale) * np.hstack([np.diag(np.sqrt(diag)), B])
    J = divided(C @ FC.T, FC @ FC.T + noise @ noise.T)
    left = np.hstack([C - J @ FC, J @ noise, J @ after.factor()])
    return Belief(belief.k, belief.x + J @ (after.x - x), np.zeros(belief.n), square(left))


def divided(M: Floats, P: Floats) -> Floats:
    """M P⁻¹; where P is singular, no correction in the directions that it knows exactly."""
    try:
        found: Floats = cho_solve(cho_factor(P), M.T).T
    except LinAlgError:
        found = M @ pinvh(P)
    return found


def through_members(fuser: Fuser, scheme: Ensemble, begin: Checkpoint) -> list[Belief]:
    """Forward once more, every step's readings updating all steps since `begin`: the newest as it was filtered."""
    steps, before = [begin.belief], begin
    while before.k < fuser.k:
        prior = scheme.forecast(fuser.model, before.belief, before.k + 1, before.calibration.q_scale)
        seen_now = fuser.observed(before, prior, fuser.readings(prior.k))
        steps.insert(0, prior)
        if seen_now:
            steps, _ = scheme.analyse_all(fuser.model, steps, seen_now)
        before = fuser.checkpoint(prior.k)
    return steps[::-1]
