"""The models of a gateway: which bundle each twin runs, the one way in for a new one, and the way back.

The agent asks `fitted` when it builds its twins, tells `report` once a second how they did, and gets another fitting
when the rules (`slots.py`) say so. All of it runs on the agent's main loop: trials in processes of their own, the disk
in a thread; the control thread never waits for any of it.
"""

import asyncio
import hashlib
import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from edge_agent.cell import TwinSpec
from edge_agent.rollout.account import Account
from edge_agent.rollout.bundles import Fit, check_fit, read_bundle
from edge_agent.rollout.faults import Damaged, NoSuchTwin, RolloutFault, ShelfFault, TakenBack
from edge_agent.rollout.shelf import Key, Shelf
from edge_agent.rollout.slots import Slots
from edge_agent.rollout.state import Event, Model, Run
from edge_agent.rollout.trial import Limits, try_out
from edge_agent.rollout.watch import Terms, Vitals
from protos.bundle import Bundle, BundleError
from protos.clock import Clock
from protos.vitals import ModelVitals

if TYPE_CHECKING:
    from protos.bundle import PublicKey

log = logging.getLogger(__name__)
GOOD_NEWS = {"offered", "probation", "commit"}


@dataclass(frozen=True, slots=True)
class Fitting:
    """What a twin is to run: bundles that passed their trial; None where there is none."""

    applied: Bundle | None = None
    beside: Bundle | None = None  # steps on the same views, nothing of it is applied


@dataclass(eq=False, slots=True)
class Kept:
    """One twin's slots, where they are kept, and what the agent was last told to run."""

    spec: TwinSpec
    shelf: Shelf
    slots: Slots
    given: Run
    unsaved: bool = False  # the disk refused the newest state
    account: Account = field(default_factory=Account)


@dataclass(eq=False)
class Models:
    """One for the life of the agent, or of a verb while no agent runs. Raises Busy where another one lives."""

    state_dir: Path
    trusted: Sequence["PublicKey"]
    clock: Clock
    fit: Fit
    terms: Terms = field(default_factory=Terms)
    limits: Limits = field(default_factory=Limits)
    trials: int = 0
    rejected: int = 0

    def __post_init__(self) -> None:
        self._key = Key(self.state_dir)
        self._kept: dict[str, Kept] = {}
        self._changing = asyncio.Lock()  # one change of a shelf after the other

    def close(self) -> None:
        self._key.release()

    async def adopt(self, specs: Sequence[TwinSpec], *, to_run: bool = True) -> None:
        """Take the models of these twins in hand, at the start of the agent and again after each reload.

        Where they are `to_run`, a start is written down before any of them is loaded, and an empty shelf gets the
        bundle that the gateway's file names; when that fails the log says why, and the twin stands without a model.
        Others stay in hand until `release`, so that a reload can be taken back. Raises ShelfFault.
        """
        for spec in specs:
            if spec.name in self._kept:
                self._kept[spec.name].spec = spec
                self._kept[spec.name].slots.terms = self.terms
            else:
                await self._open(spec, started=to_run)
        for spec in specs:
            if to_run and not self._kept[spec.name].slots.state.digests:
                await self._install_own(spec)

    def release(self, names: Collection[str]) -> None:
        """Let go of all twins but these."""
        for name in self._kept.keys() - set(names):
            del self._kept[name]

    async def leave(self) -> None:
        """The agent ends because it was told to: that start was no crash."""
        for kept in self._kept.values():
            async with self._changing:
                kept.slots.stopped()
                await self._save(kept)

    async def fitted(self, twin: str) -> Fitting:
        """What this twin is to run now. What is no longer whole on the shelf is left behind. Raises NoSuchTwin."""
        kept = self._of(twin)
        while True:
            run = kept.slots.run
            applied, beside = [await self._load(kept, digest) for digest in (run.applied, run.beside)]
            if kept.slots.run == run:
                kept.given = run
                return Fitting(applied, beside)

    async def report(
        self, twin: str, vitals: Mapping[str, Vitals], loops: Mapping[str, float] | None = None
    ) -> Fitting | None:
        """How the bundles that this twin runs, by digest, did since the last report: once a second as a rule.

        `loops`: the control error of each loop that rests on it, for the aggregator (`kpi.py`). Returns another
        fitting to swap to, or None: go on. Raises NoSuchTwin.
        """
        kept = self._of(twin)
        async with self._changing:
            newest = kept.slots.state.candidate or kept.slots.state.current
            kept.account.add(kept.given, newest.digest if newest is not None else "", vitals, loops or {})
            events = kept.slots.report(vitals, self.clock.monotonic_ns(), self.clock.wall_ns())
            if events or kept.unsaved:
                await self._save(kept, events)
        return None if kept.slots.run == kept.given else await self.fitted(twin)

    async def failed(self, twin: str, digest: str, why: str) -> Fitting:
        """The agent could not load a bundle, or its step raised an error: what to run instead. Raises NoSuchTwin."""
        kept = self._of(twin)
        async with self._changing:
            await self._save(kept, kept.slots.failed(digest, why, self.clock.wall_ns()))
        return await self.fitted(twin)

    async def install(self, twin: str, data: bytes, why: str, *, again: bool = False, hold: bool = False) -> Bundle:
        """Signature, digests, fit, trial, and then the candidate's slot: nothing else brings a model in.

        `hold`: it stays in the shadow until `let_go_on`. The agent is told by its next `report`. Raises BundleError,
        Rejected, ShelfFault or NoSuchTwin; the slots are then as before.
        """
        kept = self._of(twin)
        self.trials += 1
        try:
            bundle = await self._examine(kept, data, again=again)
        except (RolloutFault, BundleError) as error:
            self.rejected += 1
            if (digest := hashlib.sha256(data).hexdigest()) not in kept.slots.state.digests:
                kept.account.rejected(digest, str(error))
            log.warning("twin %s: a bundle was rejected: %s", twin, error)
            raise
        manifest = bundle.manifest
        model = Model(bundle.digest, manifest.name, manifest.version, self.clock.wall_ns(), why)
        async with self._changing:
            before = kept.slots.state
            await asyncio.to_thread(kept.shelf.put, data)
            try:
                events = kept.slots.offer(model, again=again, hold=hold)
                await asyncio.to_thread(kept.shelf.keep, kept.slots.state)
            except ValueError as error:
                raise TakenBack(f"{bundle.title} {error}") from None
            except ShelfFault:
                kept.slots.state = before
                raise
        kept.account.accepted(bundle.digest)
        self._tell(kept, events)
        return bundle

    async def let_go_on(self, twin: str, digest: str) -> None:
        """A candidate that was held in its shadow may be applied. Raises NoSuchTwin, and TakenBack for another one."""
        kept = self._of(twin)
        async with self._changing:
            try:
                kept.slots.let_go_on(digest)
            except ValueError as error:
                raise TakenBack(f"{twin}: {digest[:12]} {error}") from None
            await self._save(kept)

    def told(self) -> dict[str, ModelVitals]:
        """What the aggregator is told of each twin."""
        return {name: kept.account.told(kept.slots.state) for name, kept in self._kept.items()}

    async def rollback(self, twin: str, why: str) -> Event:
        """Take the newest model back: the candidate, or else the current one. Raises NoSuchTwin, TakenBack."""
        kept = self._of(twin)
        async with self._changing:
            try:
                events = kept.slots.rollback(why, self.clock.wall_ns())
            except ValueError as error:
                raise TakenBack(f"{twin}: {error}: there is nothing to go back from") from None
            await self._save(kept, events)
        return events[-1]

    def slot(self, twin: str) -> str:
        """Where the model that this twin runs comes from: current, probation or none. Raises NoSuchTwin."""
        slots = self._of(twin).slots
        applied, candidate = slots.run.applied, slots.state.candidate
        if applied is None:
            return "none"
        return slots.state.phase.value if candidate is not None and candidate.digest == applied else "current"

    def gauges(self) -> dict[str, float]:
        slots = [kept.slots for kept in self._kept.values()]
        return {
            "trials_total": self.trials,
            "rejected_total": self.rejected,
            "on_trial": sum(one.state.candidate is not None for one in slots),
            "without": sum(one.run.applied is None for one in slots),
        }

    def watched(self) -> dict[str, float]:
        """For how many seconds each candidate has been judged in its phase."""
        return {name: kept.slots.watched_s for name, kept in self._kept.items() if kept.slots.state.candidate}

    def _of(self, twin: str) -> Kept:
        if twin not in self._kept:
            raise NoSuchTwin(f"{twin}: no such twin; the gateway's file has {', '.join(self._kept) or 'none'}")
        return self._kept[twin]

    async def _open(self, spec: TwinSpec, *, started: bool) -> None:
        shelf = Shelf(self.state_dir, spec.name)
        slots = Slots(await asyncio.to_thread(shelf.open), self.terms)
        kept = self._kept[spec.name] = Kept(spec, shelf, slots, slots.run)
        if started:
            async with self._changing:
                events = slots.started(self.clock.boot_id.hex(), self.clock.monotonic_ns(), self.clock.wall_ns())
                await self._save(kept, events)

    async def _install_own(self, spec: TwinSpec) -> None:
        try:
            data = await asyncio.to_thread(read_bundle, spec.bundle)
            await self.install(spec.name, data, f"named in the gateway's file: {spec.bundle.name}")
        except (RolloutFault, BundleError) as error:
            log.error("twin %s runs without a model: %s: %s", spec.name, spec.bundle, error)

    async def _examine(self, kept: Kept, data: bytes, *, again: bool) -> Bundle:
        """What is cheap and trusts least comes first."""
        bundle = await asyncio.to_thread(Bundle.open, data, self.trusted)
        try:
            kept.slots.check(bundle.digest, again=again)
        except ValueError as error:
            raise TakenBack(f"{bundle.title} {error}") from None
        current = kept.slots.state.current
        serving = await self._load(kept, current.digest) if current is not None else None
        check_fit(kept.spec, bundle, serving.manifest if serving else None, self.fit)
        await try_out(bundle, data, self.limits)
        return bundle

    async def _load(self, kept: Kept, digest: str | None) -> Bundle | None:
        """A bundle of the shelf; None, and the slot is empty, where it is not whole or its signer no longer trusted."""
        if digest is None:
            return None
        try:
            data = await asyncio.to_thread(kept.shelf.take, digest)
            return await asyncio.to_thread(Bundle.open, data, self.trusted)
        except (Damaged, BundleError) as error:
            async with self._changing:
                await self._save(kept, kept.slots.lost(digest, str(error), self.clock.wall_ns()))
            return None

    async def _save(self, kept: Kept, events: Sequence[Event] = ()) -> None:
        """Put the state on the disk. One that is full changes nothing about what runs; the next report tries again."""
        self._tell(kept, events)
        try:
            await asyncio.to_thread(kept.shelf.keep, kept.slots.state)
            kept.unsaved = False
        except ShelfFault as error:
            kept.unsaved = True
            log.error("twin %s: %s; tried again", kept.spec.name, error)

    def _tell(self, kept: Kept, events: Sequence[Event]) -> None:
        kept.account.note(events)
        for event in events:
            say = log.info if event.kind in GOOD_NEWS else log.warning
            say("twin %s: %s %s: %s", kept.spec.name, event.kind, event.digest[:12], event.why)
