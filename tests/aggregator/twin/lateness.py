"""Gateways that are cut off for a while and then deliver everything: who is late, and by how much."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from aggregator.twin import Floats
from aggregator.twin.calibration import Tuning
from aggregator.twin.fuser import Fuser, Scheme, Settings
from aggregator.twin.measurement import Meas
from aggregator.twin.model import Model

GATEWAYS = 8


def delayed(meas: Meas, dt_ns: int, seed: int, longest: int = 50, share: float = 0.36) -> Meas:
    """The same readings, `share` of them arriving when their gateway's outage (up to `longest` steps) is over."""
    noise = np.random.default_rng(seed)
    k = meas.steps(dt_ns)
    arrival = k.copy()
    for gateway in range(GATEWAYS):
        at = int(k.min())
        while at <= k.max():
            down = int(noise.integers(longest // 3, longest + 1))
            up = max(1, int(down * (1 - share) / share * noise.uniform(0.8, 1.2)))
            at += up
            cut = (meas.gateway == gateway) & (k >= at) & (k < at + down)
            arrival[cut] = at + down
            at += down
    return replace(meas, arrived_ns=arrival * dt_ns)


def deliveries(meas: Meas, dt_ns: int, seed: int | None = None) -> Iterator[tuple[int, Meas]]:
    """(step of arrival, batch) per gateway as they come; with a seed every batch shuffled, and some of it twice."""
    arrival = meas.arrived_ns // dt_ns
    noise = None if seed is None else np.random.default_rng(seed)
    for k in np.unique(arrival).tolist():
        gateways = np.unique(meas.gateway[arrival == k])
        for gateway in gateways if noise is None else noise.permutation(gateways):
            places = np.flatnonzero((arrival == k) & (meas.gateway == gateway))
            if noise is not None:
                places = noise.permutation(np.concatenate([places, places[noise.random(len(places)) < 0.3]]))
            yield k, meas.take(places)


def as_if_now(meas: Meas, dt_ns: int) -> Meas:
    """The mistake: what comes late is taken for news."""
    return replace(meas, t_ns=np.maximum(meas.t_ns, meas.arrived_ns // dt_ns * dt_ns))


@dataclass(frozen=True)
class Outcome:
    """Of the belief about now, step by step, in the live run; and of the past at the end."""

    fuser: Fuser
    rmse: float
    nees: float  # per state: 1 when the covariance is true
    past: float  # RMSE of all steps as believed in the end


def live(
    model: Model, scheme: Scheme, truth: Floats, batches: Iterator[tuple[int, Meas]], settings: Settings, tuning: Tuning
) -> Outcome:
    """Step by step: what has come is taken in, then asked what is believed of now."""
    fuser = Fuser(model, scheme, 0, settings, tuning)
    errors, nees = [], []
    waiting = list(batches)
    for k in range(1, len(truth)):
        while waiting and waiting[0][0] <= k:
            fuser.ingest(waiting.pop(0)[1])
        fuser.advance(k)
        belief = fuser.belief()
        d = belief.x - truth[k]
        errors.append(np.mean(d**2))
        nees.append(float(d @ np.linalg.solve(belief.covariance(), d)) / model.n)
    past = [np.mean((one.belief.x - truth[one.k]) ** 2) for one in fuser.window()[20:]]
    skip = 50  # steps until the prior is forgotten
    return Outcome(
        fuser, float(np.sqrt(np.mean(errors[skip:]))), float(np.mean(nees[skip:])), float(np.sqrt(np.mean(past)))
    )
