"""From the log to the city: once a second everything new is fused, and what has changed is kept and told.

The twin follows the clock a few seconds behind, so that what is on its way need not send it back. While it catches
up, after a restart or a rebuild, the times at which batches arrived are its clock: the state is the same as if it had
never been away. Domains of a changed city file begin anew from what the log still has.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict

import numpy as np

from aggregator.city.desk import Desk
from aggregator.city.file import City
from aggregator.city.live import Lane, Live
from aggregator.city.priors import priors
from aggregator.projections.history import READ_BYTES, READ_ROWS, unbroken
from aggregator.stores import Log, Row, StoreError
from aggregator.stores.city import AlarmRow, CityStore, Forecast, Picture, Shown
from aggregator.twin import Floats
from aggregator.twin.alarms import BadAlarm, Name, Transition
from aggregator.twin.measurement import Stamp
from protos import sync_pb2
from protos.batch import BatchError, decode
from protos.clock import Clock, SystemClock

LOG = logging.getLogger(__name__)
NS = 1_000_000_000
TICK_NS = 1 * NS
BEHIND_NS = 5 * NS  # how far behind the clock: most batches arrive within it
SAVE_NS = 60 * NS  # between checkpoints: what a restart has to do again
PRIOR_NS = 10 * NS  # between what gateways are told of their states
FORECAST_NS = 10 * NS  # between forecasts, and risks, of every domain, at least
FORECAST_SHARE = 10  # … and so many times what they take: a tenth of the time, however large the city
RISKS_MAX = 200  # of a domain that are shown
STRIDE_NS = 30 * NS  # how far the city goes at once while it catches up


class CityProjection:
    """Implements `aggregator.stores.Projection`; the only writer of its store while it runs."""

    name = "city"
    version = 1

    def __init__(self, log: Log, store: CityStore, city: City, clock: Clock | None = None) -> None:
        self.log, self.store, self.city = log, store, city
        self.desk = Desk()
        self.priors: Mapping[str, Sequence[sync_pb2.Prior]] = {}  # by gateway; a new mapping when there is news
        self.pictures: Mapping[str, Picture] = {}  # the newest of each domain; a new mapping when there is news
        self.alarms_told = 0  # rises with every transition that is told
        self._clock = clock or SystemClock()
        self._live: Live | None = None
        self._upto, self._kept = 0, store.checkpoints()[0]
        self._saved_ns = self._forecast_ns = self._prior_ns = 0

    @property
    def live(self) -> Live:
        """The city as it is; there once `run` has begun."""
        if self._live is None:
            raise StoreError("the city has not begun")
        return self._live

    @property
    def checkpoint(self) -> int:
        return self._kept

    async def run(self) -> None:
        """Follow the log until cancelled; then what was reached is kept first."""
        await unbroken(self._begin())
        due_ns = self._clock.monotonic_ns()
        try:
            while True:
                await self.catch_up()
                due_ns = max(due_ns + TICK_NS, self._clock.monotonic_ns())
                await self._clock.sleep_until(due_ns)
        finally:
            await unbroken(asyncio.to_thread(self._save))

    async def catch_up(self) -> None:
        """Take in everything that is in the log now, go on to now, and tell."""
        if self._live is None:
            await unbroken(self._begin())
        while rows := await self.log.read(self._upto, READ_ROWS, READ_BYTES):
            await unbroken(asyncio.to_thread(self._take, rows))
        await unbroken(asyncio.to_thread(self._tick, self._clock.wall_ns()))

    async def _begin(self) -> None:
        """From the checkpoint, or from what the log has of the longest lag."""
        now_ns = self._clock.wall_ns() - BEHIND_NS
        lag_ns = max(int(float(twin["lag_s"]) * NS) for twin in self.city.twins.values())
        position, packed = self.store.checkpoints()
        live = await asyncio.to_thread(Live, self.city, now_ns - lag_ns)
        lost = await asyncio.to_thread(live.unpack, packed)
        if not lost and live.now_ns < now_ns - lag_ns:
            lost = dict.fromkeys(live.lanes, "it is older than the lag")
            live = await asyncio.to_thread(Live, self.city, now_ns - lag_ns)
        for name, why in lost.items():
            LOG.info("%s begins anew: %s", name, why)
        if lost:
            position = await self.log.first_since(now_ns - lag_ns, self.log.newest + 1) - 1
        for row in self.store.alarms():
            self._resume(row)
        self._live, self._upto = live, position

    def _resume(self, row: AlarmRow) -> None:
        try:
            self.desk.resume(Name(row.asset, row.condition), row.kept)
        except BadAlarm as error:
            LOG.error("%s", error)

    def _take(self, rows: Sequence[Row]) -> None:
        for row in rows:
            self._upto = row.position
            if row.received_ns - BEHIND_NS > self.live.now_ns + STRIDE_NS:
                self._tell(self._advance(row.received_ns - BEHIND_NS, row.received_ns))
            try:
                self.live.accept(decode(row.blob), Stamp(row.received_ns, row.clock_offset_ns, row.clock_error_ns))
            except BatchError as error:
                LOG.error("log position %d of %s cannot be decoded: %s", row.position, row.gateway, error)

    def _tick(self, now_ns: int) -> None:
        told = self._advance(now_ns - BEHIND_NS, now_ns)
        told += self._asked(now_ns)
        if now_ns - self._prior_ns >= PRIOR_NS:
            self._prior_ns = now_ns
            self.priors = priors(self.live.lanes.values())
        if now_ns >= self._forecast_ns:
            begun_ns = self._clock.monotonic_ns()
            told += self._foresee(now_ns)
            took_ns = self._clock.monotonic_ns() - begun_ns
            self._forecast_ns = now_ns + max(FORECAST_NS, FORECAST_SHARE * took_ns)
        self._tell(told)
        if now_ns - self._saved_ns >= SAVE_NS:
            self._save()
            self._saved_ns = now_ns

    def _advance(self, until_ns: int, now_ns: int) -> list[Transition]:
        """Go on, keep the new pictures, ask the desk."""
        self.live.advance(until_ns)
        for name, one in self.live.lanes.items():
            pictures = [(belief.k, single(belief.x), single(belief.sd)) for belief in one.news()]
            if pictures:
                self.store.record(name, one.domain.dt_ns, now_ns, pictures)
                k, x, sd = max(pictures, key=lambda each: each[0])
                self.pictures = {**self.pictures, name: Picture(k, one.domain.dt_ns, x, sd)}
        return self.desk.look(self.live.lanes.values(), self.live.findings(), self.live.failures(), now_ns)

    def _foresee(self, now_ns: int) -> list[Transition]:
        """Forecasts, what they make likely, and how well every domain is doing."""
        told: list[Transition] = []
        for name, one in self.live.lanes.items():
            series = one.forecast()
            kept = Forecast(series.k, series.dt_ns, now_ns, single(series.mean), single(series.sd))
            self.store.put_forecast(name, kept)
            risks = one.domain.risks(series)
            losses = one.domain.contingencies(one.fuser.belief(), series)
            told += self.desk.weigh(name, risks, now_ns)
            for what, some in (("risks", risks), ("contingencies", losses)):
                self.store.show(name, what, now_ns, [asdict(risk) for risk in some[:RISKS_MAX]])
            self.store.show(name, "health", now_ns, one.fuser.health() | {"automatic": self._automatic(one)})
        return told

    @staticmethod
    def _automatic(one: Lane) -> str:
        """Why not to decide without a person; empty when it may be."""
        verdict = one.fuser.calibration.automatic()
        return "" if verdict.allowed else verdict.why

    def _asked(self, now_ns: int) -> list[Transition]:
        """What operators want of alarms."""
        told: list[Transition] = []
        for one in self.store.asked():
            try:
                name = Name(one.asset, one.condition)
                told += self.desk.act(one.act, name, one.actor, one.why, one.until_ns, now_ns)
                self.store.reply(one.number, "")
            except BadAlarm as error:
                self.store.reply(one.number, str(error))
        return told

    def _tell(self, told: Sequence[Transition]) -> None:
        if not told:
            return
        self.alarms_told += len(told)
        rows = [self._row(name, told) for name in {one.name for one in told}]
        self.store.put_alarms(
            rows,
            [(one.at_ns, *one.name, one.before.value, one.after.value, one.why, int(one.announced)) for one in told],
        )
        for one in told:
            if one.announced:
                LOG.warning("alarm %s: %s", "/".join(one.name), one.why)

    def _row(self, name: Name, told: Sequence[Transition]) -> AlarmRow:
        one = self.desk.alarms[name]
        why = next(each.why for each in reversed(told) if each.name == name)
        return AlarmRow(
            *name,
            one.state.value,
            int(one.rule.priority),
            one.since_ns,
            one.value,
            one.rule.limit,
            one.rule.action,
            why,
            self.desk.kept(name),
        )

    def _save(self) -> None:
        if self._live is not None:
            self.store.save(self._upto, self._live.pack())
            self._kept = self._upto


def single(numbers: Floats) -> Shown:
    return numbers.astype(np.float32)
