"""Cleaning: says how far each sample can be trusted. It lowers quality and never drops or changes a value.

Checks are alike and stand in the table; they run in its order, so what `range` calls BAD does not count as the past
of the checks behind it. A profile configures them point by point (`checks.rate = { max_per_s = 50 }`, in the point's
unit); `range`, `timing` and `duplicate` hold for every point, with defaults.
"""

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from importlib import import_module

from edge_agent.cleaning.check import Check
from edge_agent.cleaning.limits import CleaningError, Limits
from edge_agent.cleaning.window import Columns, Ints, Plan, Window
from edge_agent.image import Frame, Layout
from edge_agent.profile import PointSpec

__all__ = ["CHECKS", "Cleaning", "CleaningError"]

CHECKS = {
    "range": "edge_agent.cleaning.range:Range",
    "timing": "edge_agent.cleaning.timing:Timing",
    "duplicate": "edge_agent.cleaning.duplicate:Duplicate",
    "rate": "edge_agent.cleaning.rate:Rate",
    "stuck": "edge_agent.cleaning.stuck:Stuck",
    "spike": "edge_agent.cleaning.spike:Spike",
}
CELLS = 8_192  # judged together: what a check works on stays in the processor's cache
PLANS_MAX = 256  # combinations of layouts remembered; a gateway's ticks bring the same few again and again


def resolve(name: str) -> type[Check]:
    module, kind = CHECKS[name].split(":")
    found: type[Check] = getattr(import_module(module), kind)
    return found


def slabs(side_by_side: list[list[Frame]], rows: int) -> Iterator[list[list[Frame]]]:
    """Layouts that together have about CELLS values, at least one."""
    slab: list[list[Frame]] = []
    cells = 0
    for one in side_by_side:
        size = rows * len(one[0].layout.points)
        if slab and cells + size > CELLS:
            yield slab
            slab, cells = [], 0
        slab.append(one)
        cells += size
    if slab:
        yield slab


class Cleaning:
    """The checks of all points of an image. `points[i]` is what place i of the image measures.

    Raises CleaningError with every fault of every point's `checks`.
    """

    def __init__(self, points: Sequence[PointSpec]) -> None:
        kinds = {name: resolve(name) for name in CHECKS}
        limits = Limits(points, kinds)
        self._checks: list[tuple[int, Check, Ints]] = []
        for number, (name, kind) in enumerate(kinds.items()):
            place_of, parameters = limits.of(name)
            count = int((place_of >= 0).sum())
            if count:
                self._checks.append((number, kind(count, parameters), place_of))
        limits.done()
        self._plans: OrderedDict[tuple[int, ...], Plan] = OrderedDict()

    def apply(self, frames: Sequence[Frame], now_ns: int) -> None:
        """Set `codes` of each frame: None when all are GOOD. Frames of one layout are taken in their order."""
        by_layout: dict[Layout, list[Frame]] = {}
        for frame in frames:
            by_layout.setdefault(frame.layout, []).append(frame)
        by_rows: dict[int, list[list[Frame]]] = {}
        for one in by_layout.values():
            by_rows.setdefault(len(one), []).append(one)
        for rows, side_by_side in by_rows.items():
            for some in slabs(side_by_side, rows):
                self._judge(Window(self._plan([one[0].layout for one in some]), some))

    def _plan(self, layouts: Sequence[Layout]) -> Plan:
        key = tuple([id(layout) for layout in layouts])
        plan = self._plans.get(key)
        if plan is None:
            plan = self._plans[key] = Plan(layouts)
            if len(self._plans) > PLANS_MAX:
                self._plans.popitem(last=False)
        return plan

    def _judge(self, window: Window) -> None:
        for number, check, place_of in self._checks:
            if check.STAMPED_ONLY and not window.stamped:
                continue
            choice = window.plan.choice(number, place_of, check.WHOLE_FRAMES)
            if choice is None:
                continue
            part = window.whole(choice) if check.WHOLE_FRAMES else window.part(choice)
            failed = check.judge(part)
            if failed is None:
                continue
            columns: Columns = choice.columns
            if check.WHOLE_FRAMES:
                failed, columns = window.spread(choice, failed), slice(None)
            window.lower(columns, failed, check.CODE)
        window.hand_back()
