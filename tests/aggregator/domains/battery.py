"""What every domain must do, tried on its own `example()`. Each check says by an AssertionError what is missing."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from aggregator.twin import Floats
from aggregator.twin.calibration import Tuning
from aggregator.twin.ensemble import Ensemble
from aggregator.twin.fuser import Fuser, Scheme, Settings
from aggregator.twin.gaussian import Gaussian
from aggregator.twin.measurement import Meas
from aggregator.twin.model import check
from aggregator.twin.part import Key
from aggregator.twin.series import forecast
from protos.units import UNITS, spelled
from protos.vocabulary import QUANTITIES

FILES = {"__init__.py", "dynamics.py", "observe.py", "risk.py", "decide.py"}
STEPS, SKIP = 120, 30
SCALE = 0.1  # of a channel's prior spread: how good the sensors of the experiment are


@dataclass(frozen=True)
class Experiment:
    """The domain's own truth, readings of it, and what was made of them."""

    nis: float
    nees: float
    analysis: float  # RMSE over prior spread, as the two below
    forecast: float
    blind: float  # with no readings at all


def five_files(module: ModuleType) -> None:
    assert module.__file__ is not None
    assert {one.name for one in Path(module.__file__).parent.glob("*.py")} >= FILES


def fits(module: ModuleType) -> None:
    check(module.example())


def says_the_same_again(module: ModuleType) -> None:
    """f and h are functions: the same for the same, and a member does not feel the others."""
    one, other = module.example(), module.example()
    X, channel = one.prior(0).sample(7, seed=1), np.arange(len(one.channels))
    u = one.exogenous(1)
    moved = one.f(X.copy(), u, 1)
    assert np.array_equal(moved, other.f(X.copy(), other.exogenous(1), 1))
    for i in (0, 6):
        assert np.allclose(one.f(X[:, [i]].copy(), u, 1)[:, 0], moved[:, i], rtol=1e-12, atol=1e-12)
        assert np.allclose(one.h(X[:, [i]], channel, 1)[:, 0], one.h(X, channel, 1)[:, i], rtol=1e-12, atol=1e-12)


def tells_the_slope_of_h(module: ModuleType) -> None:
    """H is ∂h/∂x at the prior, where it is given."""
    one = module.example()
    prior, channel = one.prior(0), np.arange(len(one.channels))
    H = one.H(prior.x, channel, 0)
    if H is None:
        return
    step = 1e-4 * np.maximum(prior.sd, 1e-9)
    up, down = (one.h(prior.x[:, None] + sign * np.diag(step), channel, 0) for sign in (1, -1))
    assert np.allclose(H.toarray(), (up - down) / (2 * step), rtol=1e-3, atol=1e-6)


def readings(one: Any, truth: Floats, noise: np.random.Generator) -> Meas:
    channel = np.arange(len(one.channels))
    spread = one.h(one.prior(0).sample(200, seed=0), channel, 0).std(axis=1)
    sd = SCALE * np.maximum(spread, 1e-9)
    parts = [
        Meas.of(
            t_ns=k * one.dt_ns,
            gateway=0,
            epoch=1,
            sequence=k,
            channel=channel,
            y=one.h(truth[k][:, None], channel, k)[:, 0] + sd * noise.standard_normal(len(channel)),
            var=sd**2,
        )
        for k in range(1, len(truth))
    ]
    return Meas.joined(parts)


def experiment(one: Any, scheme: Scheme) -> Experiment:
    noise = np.random.default_rng(1)
    truth = [one.prior(0).sample(1, seed=5)[:, 0]]
    for k in range(1, STEPS + 1):
        diag, B = one.Q(truth[-1], k)
        shaken = np.sqrt(diag) * noise.standard_normal(one.n) + B @ noise.standard_normal(B.shape[1])
        truth.append(one.f(truth[-1][:, None], one.exogenous(k), k)[:, 0] + shaken)
    fuser, blind = (Fuser(one, scheme, 0, Settings(lag=STEPS, ahead=STEPS), Tuning(turn=0)) for _ in range(2))
    fuser.ingest(readings(one, np.array(truth), noise))
    for each in (fuser, blind):
        each.advance(STEPS)
    unit = one.prior(0).sd
    held, unseen = fuser.window(SKIP), blind.window(SKIP)
    ahead = [scheme.forecast(one, at.belief, at.k + 1, 1.0) for at in held[:-1]]
    off = [at.belief.x - truth[at.k] for at in held]
    nees = [float(np.mean(d**2 / at.belief.variance)) for d, at in zip(off, held, strict=True)]
    nis = [one.nis / one.m for one in fuser.innovations(SKIP)]
    return Experiment(
        float(np.mean(nis)),
        float(np.mean(nees)),
        *(
            float(np.sqrt(np.mean([((b.x - truth[b.k]) / unit) ** 2 for b in some])))
            for some in ([at.belief for at in held], ahead, [at.belief for at in unseen])
        ),
    )


def learns(module: ModuleType) -> None:
    """A twin experiment with each scheme: better than blind, better after readings than before, and as sure as right.

    Judged on `example()` by the domain's own model; what it is worth on real data the domain's own figures say.
    """
    one = module.example()
    longest = float(one.graph.data.max()) if one.graph.nnz else 1.0
    for scheme in (Gaussian(gate=np.inf), Ensemble(8 * longest, members=50, gate=np.inf)):
        found = experiment(one, scheme)
        assert found.analysis <= found.forecast < found.blind, found
        assert 0.7 < found.nis < 1.4, found
        assert 0.5 < found.nees < 2.0, found


def plans_within_limits(module: ModuleType) -> None:
    """A plan says why; its hard limits hold along the expected path; no cost below its own bound."""
    one = module.example()
    belief = one.prior(0)
    limits = one.limits(belief.x, 0)
    rows = len(limits.c)
    assert limits.G.shape[0] == limits.L.shape[0] == len(limits.hard) == rows
    assert limits.G.shape[1] == one.n
    plan = one.plan(belief, 6, 5.0)
    assert plan.status in {"optimal", "feasible", "fallback"}
    assert plan.why.strip()
    assert len(plan.u) == 6
    assert len(one.controls) == plan.u.shape[1]
    assert plan.status == "fallback" or plan.gain >= -1e-6 * max(1.0, abs(plan.cost))
    assert plan.bound <= plan.cost + 1e-6 * max(1.0, abs(plan.cost))
    control = limits.L @ plan.u.T
    only_input = np.asarray(abs(limits.G).sum(axis=1)).ravel() == 0
    strict = limits.hard & only_input
    assert (control[strict] <= limits.c[strict, None] + 1e-7).all()


def says_what_its_numbers_are(module: ModuleType) -> None:
    """Every state, control and flow has a name, a unit that exists, and as many numbers as it has assets."""
    one = module.example()
    x, u = one.prior(0).x, one.exogenous(1)
    assert len(one.states) == one.n == len(set(one.states))
    assert len(set(one.controls)) == len(one.controls)
    for what in (*one.states, *one.controls, *module.GIVES.values(), *module.TAKES.values(), *keys_of(module)):
        assert spelled(what.unit) in UNITS, what
    assert set(one.inputs.names) == set(module.TAKES)
    given = one.gives(x, 1)
    assert set(given) == set(module.GIVES)
    assert all(np.isfinite(values).all() and values.ndim == 1 for values in given.values())
    assert one.steer(u, np.zeros(len(one.controls)), 1).shape == u.shape
    alone = one.steer(u.copy(), np.full(len(one.controls), np.nan), 1)
    assert np.array_equal(alone, u, equal_nan=True), "a row of NaN leaves everything alone"
    judged = one.indicators(one.prior(0).sample(5, seed=2), u, 1)
    assert judged
    assert all(np.isfinite(values).all() and values.shape == (5,) for values in judged.values())


def keys_of(module: ModuleType) -> Iterator[Key]:
    for kind in module.KINDS.values():
        yield from kind.keys.values()
        assert set(kind.ends) <= set(module.KINDS)
        assert kind.doc.strip()
        assert set(kind.measured) | set(kind.commanded) <= set(QUANTITIES)
    yield from module.SETTINGS.values()


def ranks_its_risks(module: ModuleType) -> None:
    one = module.example()
    series = forecast(one, Gaussian(), one.prior(0), 6)
    for found in (one.risks(series), one.contingencies(one.prior(0), series)):
        assert [one.expected for one in found] == sorted((one.expected for one in found), reverse=True)
        assert all(one.action.strip() and one.asset.strip() for one in found)


CHECKS: list[Callable[[ModuleType], None]] = [
    five_files,
    fits,
    says_the_same_again,
    tells_the_slope_of_h,
    learns,
    plans_within_limits,
    says_what_its_numbers_are,
    ranks_its_risks,
]
