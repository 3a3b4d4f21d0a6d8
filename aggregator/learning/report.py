"""What is told of a model: a card in Markdown that travels in the bundle, and pictures beside it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from aggregator.learning.dataset import Card
from aggregator.learning.freerun import Runs
from aggregator.learning.recipe import Recipe
from aggregator.learning.terms import Curve
from aggregator.learning.validate import Verdict, memory_class

Floats = npt.NDArray[np.float64]

GAPS_SHOWN = 10
POINTS_SHOWN = 200  # a card travels in the bundle, which bounds it
COLOURS = ("#888888", "#4878a8", "#d1603d", "#6a9a48", "#8d6aa8", "#b09030", "#333333")
DPI = 110


def card_text(recipe: Recipe, kind: str, data: Card, verdict: Verdict, parts: Sequence[int], made_at: str) -> str:
    """Data and verdict of a model, for people."""
    lines = [f"# {recipe.name}", "", f"Model of {recipe.asset_class}, made {made_at}. Linear twin: {kind}.", ""]
    step = f"{recipe.period_ns / 1e9:g} s"
    lines += [
        "## Data",
        "",
        f"{data.steps} steps of {step} at {len(recipe.sites)} sites, {data.coverage:.1%} covered; steps for training, "
        f"validation and held out, in this order of time: {parts[0]}, {parts[1]}, {parts[2]}. Normalised by the "
        "training part alone.",
        "",
        "| point | readings | used | low | high | left out |",
        "|---|---|---|---|---|---|",
    ]
    for one in data.points[:POINTS_SHOWN]:
        why = ", ".join(f"{count} {reason}" for reason, count in one.excluded.most_common()) or "–"
        lines.append(f"| {one.point} | {one.readings} | {one.used} | {one.low:.6g} | {one.high:.6g} | {why} |")
    lines += ["", f"Gaps: {len(data.gaps)}."]
    lines += [
        f"- {site}: {count} steps from {np.datetime64(at, 'ns').astype('datetime64[s]')}Z"
        for site, at, count in sorted(data.gaps, key=lambda gap: -gap[2])[:GAPS_SHOWN]
    ]
    lines += ["", "Drift: " + ("; ".join(data.drifts) or "none seen") + ".", "", "## Held-out time", ""]
    lines += [
        "| model | free run, sd of training | " + " | ".join(f"{c.name}: one step, free" for c in recipe.channels)
    ]
    lines[-1] += " |"
    lines.append("|---|---|" + "---|" * len(recipe.channels))
    for name, errors in verdict.errors.items():
        cells = [f"{a:.4g}, {b:.4g}" for a, b in zip(errors.one_step, errors.free, strict=True)]
        lines.append(f"| {name} | {verdict.totals[name]:.4g} | " + " | ".join(cells) + " |")
    lines += ["", f"Gate: {'network accepted' if verdict.accepted else 'linear twin'} ({verdict.chosen})."]
    lines += [f"- {one}" for one in verdict.reasons]
    lines += ["", *(f"- {name}: {value:.6g}" for name, value in verdict.figures.items())]
    if "int8_bytes" in verdict.figures:
        lines += [f"- memory class: {memory_class(int(verdict.figures['int8_bytes']))}"]
        lines += [f"- int8 against floating point, free run: {verdict.parity:+.2%}"]
    return "\n".join(lines) + "\n"


def draw(
    folder: Path,
    recipe: Recipe,
    verdict: Verdict,
    curves: Sequence[Curve],
    runs: Runs,
    found: dict[str, Floats],
) -> list[Path]:
    """curves.png, errors.png (by step of a free run) and runs.png (first, middle, last); none without matplotlib."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return []
    drawn = [folder / "errors.png", folder / "runs.png"]
    _errors(Figure(figsize=(8, 1 + 2.6 * len(recipe.channels)), layout="constrained"), recipe, verdict, drawn[0])
    _runs(Figure(figsize=(9, 1 + 2.4 * len(recipe.channels)), layout="constrained"), recipe, runs, found, drawn[1])
    if curves:
        drawn.append(folder / "curves.png")
        _curves(Figure(figsize=(8, 4), layout="constrained"), curves, drawn[-1])
    return drawn


def _curves(figure: Any, curves: Sequence[Curve], path: Path) -> None:
    axes = figure.add_subplot(1, 1, 1)
    at = np.arange(len(curves))
    axes.semilogy(at, [one.train for one in curves], color=COLOURS[1], label="training")
    axes.semilogy(at, [one.validate for one in curves], color=COLOURS[2], label="validation")
    for place in [k for k in at[1:] if curves[k].phase != curves[k - 1].phase]:
        axes.axvline(place, color=COLOURS[0], linestyle=":", label="pruned, as if quantised from here")
    axes.set_xlabel("epoch")
    axes.set_ylabel("free run, sd")
    axes.legend(frameon=False)
    figure.savefig(path, dpi=DPI)


def _errors(figure: Any, recipe: Recipe, verdict: Verdict, path: Path) -> None:
    for place, channel in enumerate(recipe.channels):
        axes = figure.add_subplot(len(recipe.channels), 1, place + 1)
        for (name, one), colour in zip(verdict.errors.items(), COLOURS, strict=False):
            axes.plot(np.arange(1, len(one.by_step) + 1), one.by_step[:, place], color=colour, label=name)
        axes.set_title(f"{channel.name}: error by step of a free run", loc="left", fontsize=9)
        axes.grid(alpha=0.3)
    figure.axes[0].legend(fontsize=7, frameon=False)
    figure.savefig(path, dpi=DPI)


def _runs(figure: Any, recipe: Recipe, runs: Runs, found: dict[str, Floats], path: Path) -> None:
    shown = sorted({0, len(runs) // 2, len(runs) - 1})
    for row, channel in enumerate(recipe.channels):
        for column, run in enumerate(shown):
            axes = figure.add_subplot(len(recipe.channels), len(shown), row * len(shown) + column + 1)
            axes.plot(runs.y[run, 1:, row], color="black", linewidth=1, label="measured")
            for (name, one), colour in zip(found.items(), COLOURS[1:], strict=False):
                axes.plot(one[run, :, row], color=colour, linewidth=1, label=name)
            axes.set_title(f"{channel.name}, run {run + 1}", loc="left", fontsize=8)
            axes.tick_params(labelsize=7)
    figure.axes[0].legend(fontsize=7, frameon=False)
    figure.savefig(path, dpi=DPI)
