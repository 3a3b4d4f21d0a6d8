"""From readings to a validated, signed bundle with its report: one model, one call.

The linear twin first: lagged least squares and subspace models of several orders, the best in free run on validation
time. Then the network on its residual, if PyTorch is there and the recipe wants one. What the gate refuses stays out:
the bundle then holds the linear twin alone.
"""

import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import numpy.typing as npt

from aggregator.learning import recipe as recipes
from aggregator.learning.bundling import Residual, make
from aggregator.learning.dataset import Dataset, mark_drift
from aggregator.learning.freerun import Int8Network, judged, run_free, runs_of
from aggregator.learning.identify import Plant, Scaling, TooLittle, calibrated, lagged, subspace
from aggregator.learning.recipe import Recipe
from aggregator.learning.report import card_text, draw
from aggregator.learning.steady import NoSteadyState
from aggregator.learning.stretch import Parts, divide
from aggregator.learning.terms import Terms, Trained
from aggregator.learning.validate import Verdict, errors_of, validate
from protos.bundle import Bundle, PrivateKey

Floats = npt.NDArray[np.float64]

WARM = 20  # steps of filtering before a free run begins
GAIN = 0.01  # of the error that a larger linear twin must win
HIDDEN_STATES = 3  # beyond the channels, that a subspace model may have
Told = Callable[[str], None]


class NoModel(ValueError):
    """No linear twin could be found; the message says why for each kind."""


@dataclass(frozen=True, eq=False, slots=True)
class Made:
    """`folder` has model.ctb, report.md and pictures."""

    bundle: bytes
    digest: str
    verdict: Verdict
    kind: str
    resumed_at: int


def learn(
    recipe: Recipe,
    data: Dataset,
    folder: Path,
    keys: Sequence[PrivateKey],
    *,
    version: str,
    made_at: str,
    serving: Bundle | None = None,
    told: Told = lambda _: None,
) -> Made:
    """Raises NoModel, ValueError where no stretch is long enough, NoSteadyState, BadTwin."""
    folder.mkdir(parents=True, exist_ok=True)
    parts = divide(data.stretches, recipe.horizon, WARM + recipe.horizon + 1)
    if not all((parts.train, parts.validate, parts.test)):
        raise NoModel(
            f"{recipe.name}: a part of the time has no {WARM + recipe.horizon + 1} steps without a gap: "
            "take a longer time, or a shorter horizon_s"
        )
    plant, scaling = best_linear(recipe, parts)
    told(f"linear twin: {plant.kind}")
    mark_drift(recipe, plant.linear, data.stretches, data.card)
    names = named(recipe, plant)
    network = trained(recipe, plant, parts, scaling, names, folder / "training", told)
    runs = runs_of(plant.linear, parts.test, recipe.horizon, WARM)
    before = errors_of(serving, parts.test, recipe.horizon, WARM) if serving is not None else None
    title = serving.title if serving is not None else ""
    verdict = validate(
        plant.linear,
        network.candidates,
        runs,
        scaling.y_sd,
        names,
        parts.test,
        None if before is None else (title, before),
    )
    told(f"gate: {verdict.chosen}")
    residual = dict(network.candidates)[verdict.chosen] if verdict.accepted else None
    steps = [sum(len(one) for one in part) for part in (parts.train, parts.validate, parts.test)]
    card = card_text(recipe, plant.kind, data.card, verdict, steps, made_at)
    manifest = recipes.manifest(recipe, version, made_at, plant.lags, len(plant.linear.x0))
    bundle = make(manifest, plant.linear, residual, card=card, keys=keys)
    shown = {"linear": run_free(plant.linear, runs)}
    if residual is not None:
        shown["int8"] = run_free(plant.linear, runs, Int8Network(residual, *names))
    draw(folder, recipe, verdict, network.curves, runs, shown)
    write(folder / "report.md", card.encode())
    write(folder / "model.ctb", bundle)
    return Made(bundle, hashlib.sha256(bundle).hexdigest(), verdict, plant.kind, network.resumed_at)


def best_linear(recipe: Recipe, parts: Parts) -> tuple[Plant, Scaling]:
    """The kind and order that goes least astray on validation time; more states only if they gain. Raises NoModel."""
    scaling = Scaling.of(parts.train)
    p = len(recipe.channels)
    tries: list[Callable[[], Plant]] = [partial(lagged, parts.train, k, scaling) for k in range(recipe.lags + 1)]
    tries += [partial(subspace, parts.train, k, scaling) for k in range(p, p + HIDDEN_STATES)]
    sds = np.array([one.sd for one in recipe.channels])
    best: Plant | None = None
    least, refused = np.inf, []
    for attempt in tries:
        try:
            plant = calibrated(attempt(), parts.train, sds if sds.all() else None)
            runs = runs_of(plant.linear, parts.validate, recipe.horizon, WARM)
        except (TooLittle, NoSteadyState, np.linalg.LinAlgError) as error:
            refused.append(str(error))
            continue
        error_sd = judged(run_free(plant.linear, runs), runs).total(scaling.y_sd)
        if error_sd < least * (1 - GAIN if best is not None else 1):
            best, least = plant, error_sd
    if best is None:
        raise NoModel(f"{recipe.name}: no linear twin: {'; '.join(dict.fromkeys(refused)) or 'nothing is finite'}")
    return best, scaling


def named(recipe: Recipe, plant: Plant) -> tuple[list[str], list[str]]:
    """Of states and inputs, as the manifest has them."""
    states = recipes.state_names(recipe, len(plant.linear.x0), plant.lags)
    return [one.name for one in states], [one.name for one in recipe.inputs]


def trained(
    recipe: Recipe,
    plant: Plant,
    parts: Parts,
    scaling: Scaling,
    names: tuple[list[str], list[str]],
    checkpoint: Path,
    told: Told,
) -> Trained:
    """The networks that may go to the gate, the better on validation time first; none without PyTorch."""
    if recipe.kind == "none" or find_spec("torch") is None:
        told("no network: " + ("none wanted" if recipe.kind == "none" else "pip install 'citytwin[train]'"))
        return Trained((), ())
    from aggregator.learning.training import Question, Rollout, Training

    terms = terms_of(recipe, plant)
    question = Question(plant, *names)
    question.learn_scales(parts.train)
    train, validation = (runs_of(plant.linear, part, recipe.horizon, WARM) for part in (parts.train, parts.validate))
    found = Training(
        terms,
        question,
        Rollout(plant.linear, question, train, scaling.y_sd),
        Rollout(plant.linear, question, validation, scaling.y_sd),
        checkpoint,
        lambda phase, epoch, error: told(f"{phase} {epoch}: {error:.4g} sd"),
    ).run()

    def astray(one: tuple[str, Residual]) -> float:
        small = Int8Network(one[1], *names)
        return judged(run_free(plant.linear, validation, small), validation).total(scaling.y_sd)

    return replace(found, candidates=tuple(sorted(found.candidates, key=astray)))


def terms_of(recipe: Recipe, plant: Plant) -> Terms:
    """As the recipe says; a convolution needs lags to go over."""
    asked = {key: value for key, value in recipe.train.items() if key not in ("lags", "kind")}
    if "hidden" in asked:
        asked["hidden"] = tuple(asked["hidden"])
    return Terms(kind=recipe.kind if plant.lags else "dense", **asked)


def write(path: Path, content: bytes) -> None:
    """Whole or not at all."""
    part = path.with_name(path.name + ".part")
    with part.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
