"""A twin experiment in the units of the states: what is forecast, analysed and usual, against a domain's own truth."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from aggregator.twin import Floats, Ints
from aggregator.twin.gaussian import Gaussian
from aggregator.twin.observation import Observation

STEPS, SKIP = 200, 40


def tried(one: Any, model: Any, groups: Mapping[str, Ints], seed: int) -> tuple[Floats, float]:
    """RMSE (groups, forecast · analysis · climatology) of `model` on the truth of `one`, and NIS/m."""
    noise, scheme = np.random.default_rng(seed), Gaussian(gate=np.inf)
    truth = one.prior(0).sample(1, seed=seed)[:, 0]
    belief, usual = model.prior(0), model.prior(0).x
    channel = np.arange(len(one.channels))
    sd = 0.1 * one.h(one.prior(0).sample(200, seed=0), channel, 0).std(axis=1)
    errors, nis = [], []
    for k in range(1, STEPS + 1):
        diag, factor = one.Q(truth, k)
        shaken = np.sqrt(diag) * noise.standard_normal(one.n) + factor @ noise.standard_normal(factor.shape[1])
        truth = one.f(truth[:, None], one.exogenous(k), k)[:, 0] + shaken
        usual = model.f(usual[:, None], model.exogenous(k), k)[:, 0]
        y = one.h(truth[:, None], channel, k)[:, 0] + sd * noise.standard_normal(len(channel))
        prior = scheme.forecast(model, belief, k, 1.0)
        seen = Observation(k, channel, y, sd**2, model.H(prior.x, channel, k))
        belief, innovation = scheme.analyse(model, prior, seen)
        if k > SKIP:
            errors.append([prior.x - truth, belief.x - truth, usual - truth])
            nis.append(innovation.nis / innovation.m)
    off = np.array(errors)
    rows = [np.sqrt(np.mean(off[:, :, places] ** 2, axis=(0, 2))) for places in groups.values()]
    return np.array(rows), float(np.mean(nis))


def table(module: Any) -> Floats:
    """The numbers of the domain's EXPERIMENT.md."""
    assert module.__file__ is not None
    lines = (Path(module.__file__).parent / "EXPERIMENT.md").read_text().splitlines()
    rows = [re.findall(r"\| *([\d.]+) *(?=\|)", line) for line in lines if line.startswith("| ")]
    return np.array([[float(one) for one in row] for row in rows if len(row) == 3])
