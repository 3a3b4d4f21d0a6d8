"""All twins of one bundle, row by row in the same arrays and one graph: a step of 64 costs little more than of one."""

import logging
from collections.abc import Sequence

import numpy as np

from edge_agent.cell import TwinSpec
from edge_agent.image import Codes, Floats, Frame, Layout, Times, View
from edge_agent.setpoint import FAULTS, Port
from edge_agent.twin.doubt import Doubt
from edge_agent.twin.forecast import Forecast
from edge_agent.twin.int8 import Bools
from edge_agent.twin.linear import Filter
from edge_agent.twin.points import OWN, every_point
from edge_agent.twin.sensing import NOWHERE, Sensing
from edge_agent.twin.tally import Tallies
from protos.bundle import Bundle
from protos.quality import Quality, Reason, code

log = logging.getLogger(__name__)
NS = 1_000_000_000
CATCH_UP_MAX = 20  # steps at once after a pause; a longer one is a new beginning
EARLY = 8  # part of a period that a tick may come early
KNOWN = 0.99  # of the largest variance: beyond it an estimate says no more than the physical range does
ESTIMATED = code(Quality.UNCERTAIN, Reason.ESTIMATED)
UNKNOWN = code(Quality.BAD, Reason.STALE)


class Member:
    """One twin of a fleet: where its channels and inputs are, and where its points go."""

    def __init__(self, spec: TwinSpec, bundle: Bundle, ports: dict[str, Port], layout: Layout) -> None:
        """`ports` by the bundle's names; points of `layout` that the bundle does not have stay without a value."""
        self.name, self.layout = spec.name, layout
        self.channels = [ports.get(one.name, NOWHERE) for one in bundle.manifest.channels]
        self.inputs = [ports[one.name] for one in bundle.manifest.inputs]
        self.wired = np.array([one is not NOWHERE for one in self.channels])
        columns = list(every_point(bundle.manifest))
        given = [k for k, point in enumerate(layout.points) if point in columns]
        self.filled = np.array(given, np.intp)
        self.columns = np.array([columns.index(layout.points[k]) for k in given], np.intp)
        self._whole = layout.points == tuple(columns)

    def frame(self, now_ns: int, values: Floats, codes: Codes) -> Frame:
        """`values` and `codes` of all columns of its row, which nobody changes any more."""
        if self._whole:
            return Frame(self.layout, now_ns, now_ns, values, codes)
        shown: Floats = np.full(len(self.layout.points), np.nan)
        said: Codes = np.full(len(self.layout.points), UNKNOWN, np.uint8)
        shown[self.filled], said[self.filled] = values[self.columns], codes[self.columns]
        return Frame(self.layout, now_ns, now_ns, shown, said)


class Fleet:
    """The twins of one bundle. `step` looks, forecasts, analyses, and shows what was found as one frame for each."""

    def __init__(self, bundle: Bundle, members: Sequence[Member]) -> None:
        """Raises ModelRefused."""
        manifest, rows = bundle.manifest, len(members)
        self.bundle, self.members = bundle, members
        self.rows = {one.name: row for row, one in enumerate(members)}
        self.forecast = Forecast(bundle, rows)
        self.filter = Filter(bundle.numbers, rows)
        self.doubt = Doubt(rows, network=self.forecast.network is not None)
        self._believed: Bools
        self._sds_shown: bool  # what follows from the variances is shown as it is while the filter stays calm
        self._use_network(self.doubt.believed)
        inputs = [one.inputs for one in members]
        self.sensing = Sensing([one.channels for one in members], inputs, bundle.numbers.u0)
        self.tallies = Tallies(rows, [one.name for one in manifest.channels])
        self.complete_ns: Times = np.zeros(rows, np.int64)  # when all that is measured here was last there
        self.grid_ns: int | None = None  # of the last step
        self.error = ""  # of the last one that failed
        self._unmeasured = np.zeros((rows, len(manifest.channels)), np.bool_)
        self._wired = np.array([one.wired for one in members])
        states = [one.name for one in manifest.states]
        self._virtual = [k for k, one in enumerate(manifest.channels) if one.name not in states]
        self._n, self._v = len(states), len(self._virtual)
        width = 2 * (self._n + self._v) + len(OWN)
        self._values: Floats = np.zeros((rows, width))
        self._codes: Codes = np.full((rows, width), ESTIMATED, np.uint8)

    def attempt(self, view: View, now_ns: int) -> Sequence[Frame]:
        """`step`, of which an error counts as steps without numbers: whoever judges the model takes it back."""
        try:
            return self.step(view, now_ns)
        except FAULTS as error:
            self.tallies.fail()
            if str(error) != self.error:  # once for each reason, not in each tick
                log.error("twin %s: its step failed: %s: %s", ", ".join(self.rows), type(error).__name__, error)
            self.error = str(error)
            return ()

    def step(self, view: View, now_ns: int) -> Sequence[Frame]:
        """The estimates of all twins, if a step is due: none while the loop is faster than the bundle's period."""
        due = self._due(now_ns)
        if not due:
            return ()
        self.sensing.look(view)
        with np.errstate(over="ignore", invalid="ignore"):  # of an input beyond all reason: it is clamped
            for left in range(due - 1, -1, -1):
                self._advance(last=left == 0)
        self._note_completeness(now_ns)
        return self._show(now_ns)

    def take_over(self, name: str, old: "Fleet") -> None:
        """Go on from the state of this twin in another fleet: what has the same name keeps estimate and variance."""
        row, before = self.rows[name], old.rows[name]
        states = _same(self.bundle.manifest.states, old.bundle.manifest.states)
        inputs = _same(self.bundle.manifest.inputs, old.bundle.manifest.inputs)
        self.filter.take_over(row, old.filter, before, states, inputs)
        self.sensing.take_over(row, old.sensing, before, inputs)
        self.complete_ns[row] = old.complete_ns[before]
        if self.bundle.manifest.period_ns == old.bundle.manifest.period_ns:
            self.grid_ns = old.grid_ns

    def _due(self, now_ns: int) -> int:
        """How many periods have passed; a tick that is a little early is that tick."""
        period = self.bundle.manifest.period_ns
        if self.grid_ns is None:
            self.grid_ns, self.complete_ns[:] = now_ns, now_ns
            return 1
        due = (now_ns - self.grid_ns + period // EARLY) // period
        if due > CATCH_UP_MAX:
            for row in range(len(self.members)):
                self.filter.restart(row)
            self.grid_ns = now_ns
            return 1
        self.grid_ns += max(due, 0) * period
        return max(due, 0)

    def _advance(self, *, last: bool) -> None:
        sensing, filter = self.sensing, self.filter
        filter.forecast(self.forecast(filter.x, sensing.u), sensing.held)
        outside = self.forecast.outside()
        analysis = filter.analyse(sensing.y, sensing.measured if last else self._unmeasured)
        self.tallies.add(analysis, outside)
        if not analysis.complete:
            self._refuse_nan()
        if (believed := self.doubt.see(outside)) is not self._believed:
            self._use_network(believed)

    def _use_network(self, believed: Bools) -> None:
        self._believed, self._sds_shown = believed, False
        self.forecast.use_network(believed)
        self.filter.use_network(believed)

    def _refuse_nan(self) -> None:
        """A state that is no number can only come from numbers beyond all reason; the row begins anew."""
        whole = np.isfinite(self.filter.x).all(axis=1) & np.isfinite(self.filter.P).all(axis=(1, 2))
        for row in np.flatnonzero(~whole):
            self.tallies.nan[row] += 1
            self.filter.restart(int(row))

    def _note_completeness(self, now_ns: int) -> None:
        if not self.sensing.lacking:
            self.complete_ns[:] = now_ns
            return
        lacking = (self.sensing.missing & self._wired).any(axis=1) | self.sensing.held.any(axis=1)
        self.complete_ns = np.where(lacking, self.complete_ns, now_ns)

    def _show(self, now_ns: int) -> list[Frame]:
        n, v = self._n, self._v
        if not (self._sds_shown and self.filter.calm):
            self._show_sds()
        values = self._values.copy()
        values[:, :n] = self.filter.x
        if v:
            values[:, n : n + v] = self.filter.expected()[:, self._virtual]
        values[:, -3] = self.tallies.nis
        if self.sensing.lacking:
            values[:, -2] = (now_ns - self.complete_ns) / NS
        values[:, -1] = self._believed
        return [one.frame(now_ns, row, said) for one, row, said in zip(self.members, values, self._codes, strict=True)]

    def _show_sds(self) -> None:
        """What follows from the variances: the deviations, and codes where these mean that nothing is known."""
        n, v, values = self._n, self._v, self._values
        codes = self._codes = self._codes.copy()  # the one before is in frames
        variance = self.filter.variance()
        known = variance < KNOWN * self.filter.largest
        values[:, n + v : 2 * n + v] = np.sqrt(variance)
        codes[:, :n] = codes[:, n + v : 2 * n + v] = np.where(known, ESTIMATED, UNKNOWN)
        if v:
            values[:, 2 * n + v : 2 * (n + v)] = np.sqrt(self.filter.expected_variance()[:, self._virtual])
            seen = self.bundle.numbers.H[self._virtual] != 0
            codes[:, n : n + v] = np.where((~known[:, None] & seen).any(axis=2), UNKNOWN, ESTIMATED)
            codes[:, 2 * n + v : 2 * (n + v)] = codes[:, n : n + v]
        self._sds_shown = self.filter.calm


def _same(new: Sequence[tuple[str, str, str]], old: Sequence[tuple[str, str, str]]) -> dict[int, int]:
    """Places of equal variables, new → old."""
    return {k: old.index(one) for k, one in enumerate(new) if one in old}
