"""A controller in its place: real cleaning and image before it, and what it wished applied behind it, tick by tick."""

from collections.abc import Mapping, Sequence

import numpy as np

from edge_agent.cell import ControllerSpec, Output
from edge_agent.cleaning import Cleaning
from edge_agent.control import build
from edge_agent.image import Frame, View, lay_out
from edge_agent.profile import PointSpec
from edge_agent.setpoint import Controller, Predictor, Standing, Wish
from protos.clock import NS
from tests.edge.control.wiring import Wires

Arrived = Mapping[str, float | tuple[float, int]]  # point → value, or value and the code that its source gave it


class Rig:
    """`tick` gives the controller what arrived and applies what it wishes (the middle of an interval).

    Each point is a layout of its own, so that one can fall silent alone. `checks` are those of every point that is not
    among the `quiet` ones.
    """

    def __init__(
        self,
        spec: ControllerSpec,
        outputs: Sequence[Output],
        *,
        quiet: Sequence[str] = (),
        checks: Mapping[str, Mapping[str, float]] | None = None,
        period_ns: int = NS,
        point_period_ns: int = NS,
        predictors: Mapping[str, Predictor] | None = None,
    ) -> None:
        names = list(dict.fromkeys(spec.inputs.values()))
        layouts, self.image = lay_out([(name.partition("/")[0], (name.partition("/")[2],)) for name in names])
        self._layouts = dict(zip(names, layouts, strict=True))
        checked = [{} if name in quiet else checks or {} for name in names]
        self._cleaning = Cleaning(
            [PointSpec(name, "ratio", "1", checks=one) for name, one in zip(names, checked, strict=True)]
        )
        self.wires = Wires(names, outputs, period_ns=period_ns, point_period_ns=point_period_ns, predictors=predictors)
        self.name = spec.name
        self.outputs = outputs
        found = build(spec, self.wires)
        assert found is not None, self.wires.faults
        self.controller: Controller = found
        self.period_ns = period_ns
        self.now_ns = 0
        self.applied = [float("nan")] * len(outputs)
        self.by = [""] * len(outputs)

    def tick(self, arrived: Arrived, utc_ns: int | None = None) -> Sequence[Wish]:
        wishes = self.decide(arrived, utc_ns)
        for wish in wishes:
            self.applied[wish.output] = (wish.low + wish.high) / 2
            self.by[wish.output] = self.name
        return wishes

    def decide(self, arrived: Arrived, utc_ns: int | None = None) -> Sequence[Wish]:
        """As `tick`, but what becomes of the wishes is the caller's."""
        self.now_ns += self.period_ns
        for name, value in arrived.items():
            number, code = value if isinstance(value, tuple) else (value, 0)
            codes = np.array([code], np.uint8) if code else None
            frame = Frame(self._layouts[name], self.now_ns, self.now_ns, np.array([number]), codes)
            self._cleaning.apply([frame], self.now_ns)
            self.image.take(frame)
        standing = [
            Standing(value, one.low, one.high, by)
            for value, one, by in zip(self.applied, self.outputs, self.by, strict=True)
        ]
        view: View = self.image.freeze(self.now_ns, utc_ns)
        return self.controller.decide(view, standing)
