"""Pictures of scenarios, risks and decisions, as PNG. The one home of matplotlib, which is loaded when it is asked for.

PictureError    matplotlib is not there, or the file cannot be written
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from aggregator.decisions.decision import Decision
from aggregator.decisions.imagined import Imagined
from aggregator.decisions.risks import Assessment
from aggregator.twin import Ints

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = ("#4878a8", "#d1603d", "#6a9a48", "#8d6aa8")  # told apart by people who see no red or no green, as lines
BARS_MAX = 20
PANELS_MAX = 12  # indicators and watched limits that are drawn
DPI = 120


class PictureError(Exception):
    """The message says what is missing."""


def draw_scenarios(path: Path, results: Sequence[Imagined]) -> None:
    """A panel for each indicator and watched limit: mean, and the band that nine of ten members stay in."""
    panels = list(dict.fromkeys(panel for one in results for panel in _panels(one)))[:PANELS_MAX]
    figure = _figure(9, 1 + 2.2 * max(1, len(panels)))
    for place, panel in enumerate(panels):
        axes = figure.add_subplot(len(panels), 1, place + 1)
        for one, colour in zip(results, COLOURS, strict=False):
            _curve(axes, one, panel, colour)
        axes.set_title(f"{panel[0]}: {panel[1]}", loc="left", fontsize=9)
        axes.grid(alpha=0.3)
    if panels:
        figure.axes[0].legend(fontsize=8, frameon=False)
    _save(figure, path)


def _panels(one: Imagined) -> list[tuple[str, str]]:
    shown = []
    for name, track in one.tracks.items():
        shown += [(name, each.name) for each in track.indicators]
        shown += [(name, f"P({each.name})") for each in track.exceedances]
    return shown


def _curve(axes: "Axes", one: Imagined, panel: tuple[str, str], colour: str) -> None:
    track = one.tracks.get(panel[0])
    if track is None:
        return
    times = moments(track.t_ns)
    for each in track.indicators:
        if each.name == panel[1]:
            low, high = each.quantiles[:, 0], each.quantiles[:, -1]
            axes.plot(times, each.mean, color=colour, label=one.name)
            axes.fill_between(times, low, high, color=colour, alpha=0.2, linewidth=0)
    for watch in track.exceedances:
        if f"P({watch.name})" == panel[1]:
            axes.plot(times, watch.at_step, color=colour, label=one.name)
            axes.set_ylim(-0.02, 1.02)


def draw_risks(path: Path, found: Assessment) -> None:
    """The largest expectations, and what is left of each with the plan that lowers it most."""
    shown = found.risks[:BARS_MAX][::-1]
    figure = _figure(9, 1.5 + 0.32 * max(4, len(shown)))
    axes = figure.add_subplot(1, 1, 1)
    names = [f"{one.asset}: {one.what} ({one.kind})" for one in shown]
    axes.barh(names, [one.expected for one in shown], color=COLOURS[1], label="as it is")
    left = [one.expected if one.lowered is None else one.lowered for one in shown]
    axes.barh(names, left, height=0.45, color=COLOURS[0], label="with the plan that lowers it most")
    axes.set_xlabel("probability × consequence, in the city's unit")
    axes.tick_params(labelsize=8)
    axes.legend(fontsize=8, frameon=False)
    _save(figure, path)


def draw_decision(path: Path, one: Decision) -> None:
    """What is set when, and what the first indicator would be without."""
    figure = _figure(9, 6)
    above, below = figure.add_subplot(2, 1, 1), figure.add_subplot(2, 1, 2)
    steps = moments([one.basis.t_ns + (i + 1) * one.basis.dt_ns for i in range(len(one.basis.forecast))])
    above.plot(steps, one.basis.forecast, color=COLOURS[1], label="without it, as forecast")
    above.set_title(f"{one.basis.domain}: {one.basis.expects[0].name}", loc="left", fontsize=9)
    points = list(dict.fromkeys((act.gateway, act.point) for act in one.acts))[:BARS_MAX]
    for point in points:
        acts = [act for act in one.acts if (act.gateway, act.point) == point]
        times = moments([act.start_ns for act in acts] + [acts[-1].end_ns])
        values = [act.value for act in acts] + [acts[-1].value]
        below.step(times, values, where="post", label="/".join(point))
    below.set_title("what is ordered", loc="left", fontsize=9)
    for axes in (above, below):
        axes.grid(alpha=0.3)
        axes.legend(fontsize=7, frameon=False)
    _save(figure, path)


def moments(t_ns: Sequence[int] | Ints) -> Any:
    """UTC, as an axis shows it."""
    return np.asarray(t_ns, np.int64).astype("datetime64[ns]")


def _figure(width: float, height: float) -> "Figure":
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise PictureError("--png needs matplotlib: pip install 'citytwin[pictures]'") from error
    options: dict[str, Any] = {"figsize": (width, height), "layout": "constrained"}
    return Figure(**options)


def _save(figure: "Figure", path: Path) -> None:
    try:
        figure.savefig(path, dpi=DPI, format="png")
    except OSError as error:
        raise PictureError(f"{path}: {error.strerror}; name a file that can be written") from error
