"""Training the residual network by how far free runs go astray: multi-step loss, early stop, seeded, resumable.

The state of a training is written after each epoch and put in place whole; a file of another question (other data,
other terms) is not resumed.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from aggregator.learning.bundling import Linear, Residual
from aggregator.learning.freerun import Runs
from aggregator.learning.identify import Plant, filtered
from aggregator.learning.network import Residuals, Shape, pruned
from aggregator.learning.steady import steady
from aggregator.learning.stretch import Stretch
from aggregator.learning.terms import Curve, Terms, Trained
from protos.model import CLAMP_SD

Floats = npt.NDArray[np.float64]
Told = Callable[[str, int, float], None]  # phase, epoch, validation error

PHASES = ("float", "aware")
R_LEAST = 1e-9  # of a residual that never moves, in the state's own unit


@dataclass(eq=False)
class Question:
    """What is learned from: the linear step in torch, features and residuals of the training part."""

    plant: Plant
    states: Sequence[str]
    inputs: Sequence[str]
    scale: Residual = field(init=False)
    z: Floats = field(init=False)  # (N, features)
    shape_taps: int = field(init=False)

    def learn_scales(self, stretches: Sequence[Stretch]) -> None:
        """Means, deviations and ranges of features and residuals; of the training part only."""
        linear, p, m = self.plant.linear, len(self.plant.linear.y0), len(self.plant.linear.u0)
        K = steady(linear.A, linear.H, linear.Q, linear.R).K
        rows, residuals = [], []
        for one in stretches:
            x, d = filtered(linear, one)
            rows.append(np.hstack((x, one.u))[:-1])
            residuals.append(d @ K.T)
        names, features = [*self.states, *self.inputs], self.order(p, m)
        z, r = np.concatenate(rows)[:, features], np.concatenate(residuals)[:, : self.targets]
        z_sd = np.maximum(z.std(axis=0), 1e-9)
        self.scale = Residual(
            tuple(names[k] for k in features),
            tuple(self.states[: self.targets]),
            z_mean=z.mean(axis=0),
            z_sd=z_sd,
            z_low=z.min(axis=0),
            z_high=z.max(axis=0),
            r_mean=np.zeros(self.targets),
            r_sd=np.maximum(r.std(axis=0), R_LEAST),
        )
        self.z = np.clip((z - self.scale.z_mean) / z_sd, -CLAMP_SD, CLAMP_SD)

    @property
    def targets(self) -> int:
        """Which states are corrected: not those that only remember."""
        return len(self.plant.linear.y0) if self.plant.lags else len(self.states)

    def order(self, p: int, m: int) -> list[int]:
        """Features by time, the newest first: (y, u), (y₋₁, u₋₁) …; as places in (states, inputs)."""
        n, lags = len(self.states), self.plant.lags
        self.shape_taps = lags + 1
        if not lags:
            return list(range(n + m))
        found = [*range(p), *range(n, n + m)]
        for lag in range(1, lags + 1):
            at = p * (lags + 1) + m * (lag - 1)
            found += [*range(p * lag, p * (lag + 1)), *range(at, at + m)]
        return found

    def shape(self, terms: Terms) -> Shape:
        taps = self.shape_taps if terms.kind == "conv1d" else 1
        return Shape(terms.kind, taps, self.z.shape[1] // taps, terms.hidden, self.targets)


class Rollout:
    """Free runs in torch, as freerun.run_free has them in numpy."""

    def __init__(self, linear: Linear, question: Question, runs: Runs, sd: Floats) -> None:
        names = [*question.states, *question.inputs]
        self._features = [names.index(one) for one in question.scale.features]
        self._t = {
            name: torch.from_numpy(np.array(value))
            for name, value in {
                "A": linear.A.T,
                "B": linear.B.T,
                "H": linear.H.T,
                "x0": linear.x0,
                "u0": linear.u0,
                "f0": linear.f0,
                "y0": linear.y0,
                "low": linear.x_low,
                "high": linear.x_high,
                "z_mean": question.scale.z_mean,
                "z_sd": question.scale.z_sd,
                "r_sd": question.scale.r_sd,
                "sd": sd,
                "x": runs.x,
                "u": runs.u,
                "y": runs.y,
            }.items()
        }
        self.count = len(runs)

    def loss(self, network: Residuals, rows: Tensor | None = None) -> Tensor:
        """Mean over runs, steps and channels of ((ŷ − y) / sd)²."""
        t = self._t
        x, u, y = (t[k] if rows is None else t[k][rows] for k in ("x", "u", "y"))
        total = torch.zeros((), dtype=torch.float64)
        pad = len(t["x0"]) - len(t["r_sd"])
        for k in range(u.shape[1]):
            z = (torch.cat((x, u[:, k]), dim=1)[:, self._features] - t["z_mean"]) / t["z_sd"]
            r = network(z.clamp(-CLAMP_SD, CLAMP_SD)) * t["r_sd"]
            x = t["f0"] + (x - t["x0"]) @ t["A"] + (u[:, k] - t["u0"]) @ t["B"] + torch.nn.functional.pad(r, (0, pad))
            x = torch.minimum(torch.maximum(x, t["low"]), t["high"])
            found = t["y0"] + (x - t["x0"]) @ t["H"]
            total = total + (((found - y[:, k + 1]) / t["sd"]) ** 2).mean()
        return total / u.shape[1]


@dataclass(eq=False)
class Training:
    """One network under way."""

    terms: Terms
    question: Question
    train: Rollout
    validate: Rollout
    checkpoint: Path
    told: Told
    curves: list[Curve] = field(default_factory=list)
    resumed_at: int = 0

    def run(self) -> Trained:
        torch.set_num_threads(1)
        network = Residuals(self.question.shape(self.terms), self.terms.seed)
        network = self._phase("float", network, self.terms.epochs, quantised=False)
        smaller = pruned(network, self.question.z, self.terms.prune, self.terms.seed)
        smaller = self._phase("aware", smaller, self.terms.aware_epochs, quantised=True)
        found = tuple(
            (name, self._residual(one))
            for name, one in (("pruned, aware", smaller), ("quantised after training", network))
        )
        for phase in PHASES:
            self._file(phase).unlink(missing_ok=True)
        return Trained(found, tuple(self.curves), self.resumed_at)

    def _residual(self, network: Residuals) -> Residual:
        one = self.question.scale
        names = ("features", "targets", "z_mean", "z_sd", "z_low", "z_high", "r_mean", "r_sd")
        layers = tuple(network.dense(self.question.z))
        return Residual(**{name: getattr(one, name) for name in names}, layers=layers, Q=self.question.plant.linear.Q)

    def _phase(self, phase: str, network: Residuals, epochs: int, *, quantised: bool) -> Residuals:
        """Adam (Kingma and Ba, 2015) until the validation error has not fallen for `patience` epochs."""
        adam = torch.optim.Adam(network.parameters(), lr=self.terms.rate)
        if quantised:
            network.measure(self.question.z)
        best, best_error, since = _copied(network), float("inf"), 0
        begin = 0
        if (saved := self._saved(phase)) is not None:
            network.load_state_dict(saved["network"])
            adam.load_state_dict(saved["adam"])
            best, best_error, since, begin = saved["best"], saved["best_error"], saved["since"], saved["epoch"] + 1
            self.curves = [Curve(*one) for one in saved["curves"]]
            self.resumed_at = begin
        for epoch in range(begin, epochs):
            if since >= self.terms.patience:
                break
            if quantised:
                network.measure(self.question.z)
            trained = self._epoch(network, adam, epoch)
            with torch.no_grad():
                error = float(self.validate.loss(network)) ** 0.5
            better = error < best_error
            best, best_error, since = (_copied(network), error, 0) if better else (best, best_error, since + 1)
            self.curves.append(Curve(phase, epoch, trained, error))
            self.told(phase, epoch, error)
            self._save(phase, epoch, network, adam, best, best_error, since)
        network.load_state_dict(best)
        return network

    def _epoch(self, network: Residuals, adam: torch.optim.Optimizer, epoch: int) -> float:
        chance = torch.Generator().manual_seed(self.terms.seed * 1_000_003 + epoch)  # the same after a kill
        order = torch.randperm(self.train.count, generator=chance)
        losses = []
        for rows in order.split(self.terms.batch):
            adam.zero_grad()
            loss = self.train.loss(network, rows)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            adam.step()
            losses.append(float(loss.detach()))
        return float(np.mean(losses)) ** 0.5

    @property
    def _about(self) -> str:
        """What is asked, as a digest: another question begins anew."""
        digest = hashlib.sha256(json.dumps(asdict(self.terms), sort_keys=True).encode())
        for rollout in (self.train, self.validate):
            for name in sorted(rollout._t):
                digest.update(rollout._t[name].numpy().tobytes())
        return digest.hexdigest()

    def _save(self, phase: str, epoch: int, network: Residuals, adam: Any, best: Any, error: float, since: int) -> None:
        part = self._file(f"{phase}.part")
        torch.save(
            {
                "about": self._about,
                "epoch": epoch,
                "network": network.state_dict(),
                "adam": adam.state_dict(),
                "best": best,
                "best_error": error,
                "since": since,
                "curves": [[one.phase, one.epoch, one.train, one.validate] for one in self.curves],
            },
            part,
        )
        part.replace(self._file(phase))

    def _saved(self, phase: str) -> Any:
        """What was under way in this phase; None when nothing was, or of another question."""
        if not self._file(phase).exists():
            return None
        saved = torch.load(self._file(phase), weights_only=True)
        return saved if saved["about"] == self._about else None

    def _file(self, phase: str) -> Path:
        return self.checkpoint.with_name(f"{self.checkpoint.name}.{phase}")


def _copied(network: Residuals) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in network.state_dict().items()}
