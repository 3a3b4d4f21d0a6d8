"""Which model each twin runs: fits the loop with what the rules say, tells them how it does, exchanges under way.

The main loop's side of `rollout` and `twin`. Models are loaded in a worker thread after their trial; the control thread
only takes them over between two ticks.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from edge_agent.config import Gateway
from edge_agent.field import resolve
from edge_agent.image import View
from edge_agent.pair import VITALS_NS, Pair
from edge_agent.plant import TWINS, Plant, fit_of
from edge_agent.rollout.bundles import read_trust
from edge_agent.rollout.kpi import loops
from edge_agent.rollout.models import Fitting, Models
from edge_agent.rollout.watch import Terms
from edge_agent.twin.faults import ModelRefused
from edge_agent.twin.points import points_of
from protos.bundle import Bundle
from protos.clock import Clock

if TYPE_CHECKING:  # it loads LiteRT
    from edge_agent.twin.twins import Twins

FORECAST = "edge_agent.twin.forecast:Forecast"
log = logging.getLogger(__name__)


@dataclass(eq=False)
class Fitter:
    """One for the life of the agent. `again` is called when the loop must be built anew: a twin's points changed."""

    config: Gateway
    clock: Clock
    again: Callable[[], None]
    fittings: dict[str, Fitting] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.models = Models(self.config.state_dir, (), self.clock, fit_of(self.config), terms_of(self.config))

    async def prepare(self, config: Gateway) -> None:
        """Take the models of this configuration in hand; `settle` makes it final, preparing the old one takes it back.

        Raises Untrusted for a key that cannot be read, ShelfFault.
        """
        trusted = read_trust(config.cell.trust)
        if config.cell.trial != self.config.cell.trial:
            self.models.terms = terms_of(config)
        self.config = config
        self.models.trusted, self.models.fit = trusted, fit_of(config)
        await self.models.adopt(config.cell.twins)
        self.fittings = {spec.name: await self.models.fitted(spec.name) for spec in config.cell.twins}

    def settle(self) -> None:
        """Let go of the models of twins that this configuration does not have."""
        self.models.release(self.fittings)

    @property
    def bundles(self) -> Mapping[str, Bundle]:
        """What each twin that has a model runs."""
        return {name: fitting.applied for name, fitting in self.fittings.items() if fitting.applied is not None}

    def slot(self, twin: str) -> str:
        """Which of its models a twin runs, in a word."""
        return self.models.slot(twin) if twin in self.fittings else "none"

    async def run(self, plant: Plant, pair: Pair, newest: Callable[[], View | None] = lambda: None) -> None:
        """Load what runs beside, then tell the rules every second how all models do, until cancelled.

        `newest` gives the view of the newest tick, in which the loops that rest on twins are looked at.
        """
        ruled, names = loops(self.config.cell.controllers, self.config.cell.twins), plant.field.image.names
        await self._exchange(plant, pair, applied=False)
        seen: Mapping[str, object] = {}
        while True:
            await self.clock.sleep_until(self.clock.monotonic_ns() + VITALS_NS)
            report = pair.report
            if report is seen:
                continue
            seen, changed, view = report, False, newest()
            for twin, vitals in report.items():
                if twin not in self.fittings:  # the configuration that is being taken does not have it any more
                    continue
                errors = {one.name: one.error(view, names) for one in ruled if one.twin == twin} if view else {}
                fitting = await self.models.report(twin, vitals, errors)
                if fitting is not None:
                    changed = True
                    self.fittings[twin] = fitting
            if changed:
                await self._exchange(plant, pair, applied=True)

    async def _exchange(self, plant: Plant, pair: Pair, *, applied: bool) -> None:
        """Give the loop the models that it is to run now; one that cannot be loaded is reported and left behind."""
        while True:
            if self._moved(plant):
                self.again()
                return
            try:
                fresh = await asyncio.to_thread(self._build, plant)
            except ModelRefused as error:
                await self.refused(error)
                continue
            if applied or fresh[1] is not None:
                pair.exchange(*fresh)
            return

    def _moved(self, plant: Plant) -> bool:
        """Whether the points of some twin are others now than those in the loop's image."""
        bundles = self.bundles
        if bundles.keys() != (set(plant.twins.names) if plant.twins is not None else set()):
            return True
        twins = {spec.name: spec for spec in self.config.cell.twins}
        return any(tuple(points_of(twins[name], one)) != plant.estimated[name].points for name, one in bundles.items())

    def _build(self, plant: Plant) -> "tuple[Twins | None, Twins | None]":
        specs = {spec.name: spec for spec in self.config.cell.twins}
        applied = [(specs[name], one.applied) for name, one in self.fittings.items() if one.applied is not None]
        beside = [(specs[name], one.beside) for name, one in self.fittings.items() if one.beside is not None]
        twins = resolve(TWINS)
        made = [twins(models, plant.ports, plant.estimated) if models else None for models in (applied, beside)]
        return made[0], made[1]

    async def refused(self, why: ModelRefused) -> None:
        """A model cannot be loaded: find which, and ask the rules what to run instead. Raises `why` for none."""
        for name, fitting in list(self.fittings.items()):
            for bundle in (fitting.applied, fitting.beside):
                if bundle is None:
                    continue
                try:
                    resolve(FORECAST)(bundle, 1)
                except ModelRefused as error:
                    self.fittings[name] = await self.models.failed(name, bundle.digest, str(error))
                    return
        raise why


def terms_of(config: Gateway) -> Terms:
    """How this gateway's file wants new models to be watched."""
    trial: dict[str, Any] = dict(config.cell.trial)
    return replace(Terms(), **trial)
