"""Is a network worth shipping: held-out time, one step and free run, against all that is simpler; the gate."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from aggregator.learning.bundling import Linear, Residual
from aggregator.learning.freerun import Errors, FloatNetwork, Int8Network, Runs, judged, persistence, run_free, runs_of
from aggregator.learning.identify import mean_nis
from aggregator.learning.stretch import Stretch
from protos.bundle import Bundle
from protos.model import CLAMP_SD

Floats = npt.NDArray[np.float64]

PARITY = 0.02  # that the free run of the int8 file may be further off than in floating point
CHANNEL_WORSE = 0.05  # that one channel may lose while all together gain
EDGE = 0.1  # of the range of a feature at either end
TIMED = 200  # calls of which the time is taken
CLASSES = ((4 << 10, "tiny, 4 KiB"), (32 << 10, "small, 32 KiB"), (256 << 10, "medium, 256 KiB"))


@dataclass(frozen=True, eq=False, slots=True)
class Verdict:
    """Errors of every candidate by name; `accepted`: the network goes into the bundle."""

    errors: Mapping[str, Errors]
    totals: Mapping[str, float]  # free run, in standard deviations of training
    accepted: bool
    chosen: str
    reasons: tuple[str, ...]
    parity: float = float("nan")  # (int8 − float) / float of the free run
    figures: Mapping[str, float] = field(default_factory=dict)


def validate(
    linear: Linear,
    candidates: Sequence[tuple[str, Residual]],
    runs: Runs,
    sd: Floats,
    names: tuple[Sequence[str], Sequence[str]],
    held_out: Sequence[Stretch],
    serving: tuple[str, Errors] | None = None,
) -> Verdict:
    """The gate on held-out `runs`. Candidates were ordered by validation time, the first that passes is taken.

    `names` are of states and inputs; `serving` is title and errors of the model in service, where it can be asked.
    """
    errors = {"persistence": persistence(runs), "linear": judged(run_free(linear, runs), runs)}
    if serving is not None:
        errors[f"in service ({serving[0]})"] = serving[1]
    reasons: list[str] = []
    figures = {"nis": mean_nis(linear, held_out)}
    chosen, parity = "", float("nan")
    for title, residual in candidates:
        real, small = FloatNetwork(residual, *names), Int8Network(residual, *names)
        errors[f"{title}, float"] = judged(run_free(linear, runs, real), runs)
        errors[f"{title}, int8"] = judged(run_free(linear, runs, small), runs)
        why = refusals(errors, title, sd)
        reasons += [f"{title}: {one}" for one in why]
        if not why and not chosen:
            chosen, parity = title, worse(errors[f"{title}, int8"], errors[f"{title}, float"], sd)
            figures |= cost(small) | at_edges(linear, residual, runs, small, names, sd)
    totals = {name: one.total(sd) for name, one in errors.items()}
    if totals["linear"] > totals["persistence"]:
        reasons.append("the linear twin is worse than persistence in free run: look at inputs and period")
    return Verdict(errors, totals, bool(chosen), chosen or "linear", tuple(reasons), parity, figures)


def refusals(errors: Mapping[str, Errors], title: str, sd: Floats) -> list[str]:
    """Why a network is not taken; nothing when it may be."""
    linear, real, small = errors["linear"], errors[f"{title}, float"], errors[f"{title}, int8"]
    if not np.isfinite(small.free).all():
        return ["its free run is not finite"]
    found = []
    if small.total(sd) > linear.total(sd):
        found.append(
            f"free run {small.total(sd):.4g} sd, linear twin {linear.total(sd):.4g}: worse than the linear twin"
        )
    if (small.free > linear.free * (1 + CHANNEL_WORSE)).any():
        found.append("a channel's free run is more than 5 % worse than the linear twin's")
    if (off := worse(small, real, sd)) > PARITY:
        found.append(f"int8 is {off:.1%} worse than floating point, at most {PARITY:.0%}")
    return found


def worse(one: Errors, than: Errors, sd: Floats) -> float:
    return one.total(sd) / than.total(sd) - 1


def cost(network: Int8Network) -> dict[str, float]:
    """Bytes, and microseconds of one step on this machine with Python's share."""
    z = np.zeros((1, len(network.residual.features)))
    taken = []
    for _ in range(TIMED):
        begin = time.perf_counter_ns()
        network.net(z)
        taken.append(time.perf_counter_ns() - begin)
    return {"int8_bytes": float(len(network.content)), "step_us": float(np.median(taken)) / 1e3}


def memory_class(size: int) -> str:
    return next((name for most, name in CLASSES if size <= most), "large")


def at_edges(
    linear: Linear,
    residual: Residual,
    runs: Runs,
    network: Int8Network,
    names: tuple[Sequence[str], Sequence[str]],
    sd: Floats,
) -> dict[str, float]:
    """Free runs that begin in the outer tenth of the range of training: how far off, and the linear twin there."""
    everything = [*names[0], *names[1]]
    places = [everything.index(one) for one in residual.features]
    z = np.hstack((runs.x, runs.u[:, 0]))[:, places]
    span = residual.z_high - residual.z_low
    edge = ((z < residual.z_low + EDGE * span) | (z > residual.z_high - EDGE * span)).any(axis=1)
    beyond = np.abs((z - residual.z_mean) / residual.z_sd) > CLAMP_SD
    found = {"edge_runs": float(edge.sum()), "beyond_3_sd": float(beyond.any(axis=1).mean())}
    if edge.any():
        some = Runs(runs.x[edge], runs.u[edge], runs.y[edge])
        found["edge_int8"] = judged(run_free(linear, some, network), some).total(sd)
        found["edge_linear"] = judged(run_free(linear, some), some).total(sd)
    return found


def errors_of(bundle: Bundle, held_out: Sequence[Stretch], steps: int, warm: int) -> Errors | None:
    """Of the model in service on the same windows, its network too; None where it has other channels or inputs."""
    one, manifest = bundle.numbers, bundle.manifest
    if (len(manifest.channels), len(manifest.inputs)) != (held_out[0].y.shape[1], held_out[0].u.shape[1]):
        return None
    linear = Linear(one.A, one.B, one.H, one.Q, one.R, one.x0, one.u0, one.f0, one.y0, one.x_low, one.x_high, one.u_sd)
    network = None
    if manifest.network is not None and bundle.network is not None:
        ends = {name: getattr(one, name) for name in ("z_mean", "z_sd", "z_low", "z_high", "r_mean", "r_sd")}
        residual = Residual(manifest.network.features, manifest.network.targets, **ends)
        states, inputs = ([each.name for each in kind] for kind in (manifest.states, manifest.inputs))
        network = Int8Network(residual, states, inputs, bundle.network)
    runs = runs_of(linear, held_out, steps, warm)
    return judged(run_free(linear, runs, network), runs)
