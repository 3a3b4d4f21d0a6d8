"""The rules by which a model spreads, and comes back. No IO, no clock.

    shadow (1 to 3, nothing applied) ─→ first (5 %, ≥ 3, one of each cluster) ─→ second (25 %) ─→ all ─→ done
       └──────────────────────────────────────┴──────────────────────────────────┴────────────┴──→ aborting ─→ aborted

 1. A wave begins when policy's window is open and, where policy says so, a person agreed to it.
 2. Gateways come and go: each look fills the wave up to its share of those that are there; who is away is stood in for,
    and gets the model in the last wave, or when it is back. Who is gone for good no longer counts.
 3. Installed is not good: a gateway is good when its own probation is over, it runs the model within its contract (no
    step without numbers, no restart of its loop, p99 of a step in its deadline) and reports it itself.
 4. A gateway has `device_s` for a try, counted only while it is there, and `retries` further ones; then it has failed.
 5. Figures are compared at each look (`evidence.py`) by tests that may be looked at as often as one likes.
 6. A wave is promoted when its time is over, nobody in it is undecided, 95 % of those who decided are good, and live
    error and, once something is applied, the control KPI are shown to be not worse than the margin, each at 5 %.
 7. What could not be shown in `wave_max_s` waits for a person: it is never waved through.
 8. Aborted by itself: 2 gateways took it back; or of 3 outcomes or more above 5 % are failures; or nobody kept it; or
    error or KPI is worse than the margin at 1 %, over all waves together.
 9. Aborting takes it back from every gateway that was ever asked, and goes on until none that is there reports it;
    one that comes back later is told then. Neither pause, window nor approval delays that.
10. Done, it goes on to gateways that come later, until a newer one for the same twin begins.

The same rollout and the same reports give the same moves: what was decided is written down before it is told, and
told again until the director confirmed it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from aggregator.rollout import cohort, evidence
from aggregator.rollout.plan import ENDED, HELD, Member, Rollout, Stage, State
from aggregator.rollout.policy import WAVES, Policy
from protos.vitals import ModelVitals

NS = 1_000_000_000
PROMOTE_ALPHA, ABORT_ALPHA = 0.05, 0.01
STEP_MAX_S = 60.0  # what a gateway's waiting may grow between two looks: nobody looked while the server was down


@dataclass(frozen=True, slots=True)
class Report:
    """What is known of one gateway that is enrolled; `vitals` as told last, None where it never spoke of the twin."""

    here: bool
    cluster: str = ""
    vitals: ModelVitals | None = None


@dataclass(frozen=True, slots=True)
class Note:
    """For the audit: what happened to whom, and why."""

    act: str
    subject: str
    detail: str


@dataclass(frozen=True, slots=True)
class Move:
    rollout: Rollout
    notes: tuple[Note, ...] = ()


class Course:
    """`next` is asked again and again; what gateways are to be told follows from `wishes`."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy

    def next(self, one: Rollout, fleet: Mapping[str, Report], now_ns: int) -> Move:
        """How the rollout stands after what the fleet reports now. `fleet`: every gateway that is enrolled."""
        if one.over:
            return Move(one)
        notes: list[Note] = []
        fleet = {name: report for name, report in fleet.items() if report.vitals is not None or name in one.members}
        elapsed_s = min(max(0.0, (now_ns - one.stepped_ns) / NS), STEP_MAX_S) if one.stepped_ns else 0.0
        one = replace(one, stepped_ns=max(now_ns, one.stepped_ns))
        one = self._follow(one, fleet, elapsed_s, notes)
        if one.state is State.ABORTING:
            return Move(self._cleared(one, notes), tuple(notes))
        one = self._look(one, fleet, now_ns)
        if self.policy.gates and one.state is not State.DONE and (why := self._wrong(one)):
            notes.append(Note("rollout abort", one.id, why))
            return Move(one.abort(why), tuple(notes))
        if one.state is not State.PAUSED and self.policy.open(now_ns):
            one = self._advance(one, fleet, now_ns, notes)
        return Move(one, tuple(notes))

    # ---- what became of each gateway

    def _follow(self, one: Rollout, fleet: Mapping[str, Report], elapsed_s: float, notes: list[Note]) -> Rollout:
        members = {}
        for name, member in one.members.items():
            report = fleet.get(name)
            if report is None:
                if member.stage in ENDED and one.state is not State.ABORTING:  # that it went wrong there stays true
                    members[name] = replace(member, away=True)
                continue
            if one.state is State.ABORTING:
                after = self._aborted(one, member, report)
            else:
                after = self._staged(one, member, report, elapsed_s)
            if after.stage is not member.stage:
                notes.append(Note(f"rollout {after.stage.value}", name, f"{one.id} {one.title} {after.why}".strip()))
            members[name] = after
        return replace(one, members=members)

    def _staged(self, one: Rollout, member: Member, report: Report, elapsed_s: float) -> Member:
        member = replace(member, away=not report.here, cluster=report.cluster or member.cluster)
        vitals = report.vitals
        if member.stage not in HELD or not report.here or vitals is None:
            return member
        if one.digest not in (vitals.candidate, vitals.current):
            return self._without(one, member, vitals, elapsed_s)
        if self.policy.gates and vitals.newest == one.digest and vitals.violations_total > 0:
            return replace(member, stage=Stage.FAILED, given=False, why=f"{vitals.violations_total:g} breaches")
        if vitals.candidate == one.digest:
            stage = Stage.PROBATION if vitals.phase == 2 else Stage.SHADOW
            settled = stage is Stage.SHADOW and not member.apply  # as far as it may go
            return self._patient(replace(member, stage=stage), 0.0 if settled else elapsed_s)
        if self.policy.gates and evidence.late(vitals, self.policy.late_share):
            why = f"{vitals.late_total:g} of {vitals.steps_total:g} steps were beyond the deadline"
            return replace(member, stage=Stage.FAILED, given=False, why=why)
        return replace(member, stage=Stage.GOOD, waited_s=0.0)

    def _without(self, one: Rollout, member: Member, vitals: ModelVitals, elapsed_s: float) -> Member:
        """It reports that it does not have the model."""
        if one.digest in vitals.refused:
            stage = Stage.FAILED if member.stage is Stage.ASKED else Stage.BACK
            return replace(member, stage=stage, given=False, why=vitals.why)
        if member.stage is not Stage.ASKED:  # it had it, and lost it: damaged, or set up anew
            member = replace(member, stage=Stage.ASKED, given=False, why="it does not have it any more")
        return self._patient(member, elapsed_s)

    def _patient(self, member: Member, elapsed_s: float) -> Member:
        waited_s = member.waited_s + elapsed_s
        if waited_s <= self.policy.device_s:
            return replace(member, waited_s=waited_s)
        if member.tries <= self.policy.retries:
            return replace(member, tries=member.tries + 1, waited_s=0.0, given=False)
        why = f"nothing came of {member.tries} tries of {self.policy.device_s:g} s"
        return replace(member, stage=Stage.FAILED, given=False, why=why)

    def _aborted(self, one: Rollout, member: Member, report: Report) -> Member:
        """Cleared, once it is there and says that it has nothing of it; until then it is told so again."""
        vitals = report.vitals
        if member.stage is Stage.CLEARED:
            return replace(member, away=not report.here)
        if not report.here or not member.given:
            return replace(member, away=not report.here)
        if vitals is None or one.digest not in (vitals.candidate, vitals.current):
            return replace(member, stage=Stage.CLEARED, away=False, why="has it no more")
        return replace(member, away=False)

    def _cleared(self, one: Rollout, notes: list[Note]) -> Rollout:
        """Aborted when nobody who is there has it; who is away keeps what the director wants of it, nothing."""
        open_ = [m for m in one.members.values() if m.stage is not Stage.CLEARED and not (m.away and m.given)]
        if open_:
            return one
        notes.append(Note("rollout aborted", one.id, one.reason))
        return replace(one, state=State.ABORTED)

    # ---- what the figures say

    def _look(self, one: Rollout, fleet: Mapping[str, Report], now_ns: int) -> Rollout:
        if now_ns - one.looked_ns < self.policy.look_s * NS:
            return one
        told = {name: r.vitals for name, r in fleet.items() if r.here and r.vitals is not None}
        clusters = {name: report.cluster for name, report in fleet.items()}
        small = cohort.wanted(1, clusters, self.policy) >= len(clusters)
        one, seen = evidence.look(replace(one, looked_ns=now_ns), told, small=small)
        error = one.error.see(seen.error) if seen.error == seen.error else one.error
        kpi = one.kpi.see(seen.kpi) if seen.kpi == seen.kpi else one.kpi
        return replace(one, error=error, kpi=kpi)

    def _wrong(self, one: Rollout) -> str:
        """Why it must be taken back, "" it need not."""
        back, failed = one.count(Stage.BACK), one.count(Stage.FAILED)
        settled = back + failed + self._fine(one)
        if back >= self.policy.rollbacks:
            return f"{back} gateways took it back: {self._whys(one, Stage.BACK)}"
        if settled >= self.policy.failures_after and back + failed > self.policy.failures * settled:
            return f"{back + failed} of {settled} gateways failed: {self._whys(one, *ENDED)}"
        if back + failed and settled == back + failed == len(one.members):
            return f"none of {settled} gateways kept it: {self._whys(one, *ENDED)}"
        for name, test in (("live error", one.error), ("control KPI", one.kpi)):
            if test.worse.refutes(ABORT_ALPHA):
                return f"{name} is worse, at {100 * (1 - ABORT_ALPHA):g} % after {test.worse.seen} looks"
        return ""

    @staticmethod
    def _whys(one: Rollout, *stages: Stage) -> str:
        return "; ".join(sorted({m.why for m in one.members.values() if m.stage in stages and m.why}))[:200]

    def _fine(self, one: Rollout) -> int:
        """Gateways that came as far as this wave lets them."""
        return one.count(Stage.GOOD) + (one.count(Stage.SHADOW, Stage.PROBATION) if one.wave == 0 else 0)

    def waits_for(self, one: Rollout, now_ns: int) -> str:
        """What the next wave waits for, "" nothing."""
        fine, ended = self._fine(one), one.count(*ENDED)
        undecided = sum(not m.away for m in one.members.values() if m.stage in HELD) - self._present_fine(one)
        if not one.began_ns:
            return "its beginning"
        if undecided > 0 or not fine:
            return f"{undecided} gateways that are not done" if undecided > 0 else "gateways that are there"
        if now_ns - one.began_ns < self.policy.least_s(one.wave) * NS:
            return f"{self.policy.least_s(one.wave):g} s in this wave"
        if not self.policy.gates:
            return ""
        if fine < self.policy.commits * (fine + ended):
            return f"good ones: {fine} of {fine + ended} are too few"
        if not one.error.fine.refutes(PROMOTE_ALPHA) and self._comparable(one):
            return f"live error: not shown to be as good, after {one.error.seen} looks"
        if one.wave and one.kpi.seen and not one.kpi.fine.refutes(PROMOTE_ALPHA):
            return f"control KPI: not shown to be as good, after {one.kpi.seen} looks"
        return ""

    def _present_fine(self, one: Rollout) -> int:
        stages = (Stage.GOOD, Stage.SHADOW, Stage.PROBATION) if one.wave == 0 else (Stage.GOOD,)
        return sum(m.stage in stages and not m.away for m in one.members.values())

    @staticmethod
    def _comparable(one: Rollout) -> bool:
        """Whether there was a model before at any gateway: the first of its kind is compared with nothing."""
        marks = [one.marks[name] for name in one.members if name in one.marks]
        return one.error.seen > 0 or any(each.looks for each in marks)

    # ---- going on

    def _advance(self, one: Rollout, fleet: Mapping[str, Report], now_ns: int, notes: list[Note]) -> Rollout:
        if not one.began_ns:
            if WAVES[one.wave] in self.policy.approve and not one.approved(one.wave):
                return one
            one = replace(one, began_ns=now_ns, reason="")
            notes.append(Note("rollout wave", one.id, f"{one.wave_name}: {one.title}"))
        elif one.state is State.RUNNING:
            one = self._promoted(one, fleet, now_ns, notes)
        return self._filled(one, fleet, notes) if one.began_ns and one.state is not State.PAUSED else one

    def _promoted(self, one: Rollout, fleet: Mapping[str, Report], now_ns: int, notes: list[Note]) -> Rollout:
        waits = self.waits_for(one, now_ns)
        if waits:
            if self.policy.gates and now_ns - one.began_ns > self.policy.wave_max_s * NS:
                notes.append(Note("rollout pause", one.id, f"needs a person: {waits}"))
                return one.pause(f"needs a person: {waits}")
            return one
        if one.wave == len(WAVES) - 1:
            notes.append(Note("rollout done", one.id, f"{one.count(Stage.GOOD)} gateways: {one.title}"))
            return replace(one, state=State.DONE, reason="")
        why = f"{one.wave_name} → {WAVES[one.wave + 1]}: {self._fine(one)} good, {one.error.seen} looks"
        notes.append(Note("rollout promote", one.id, why))
        fresh = replace(one, wave=one.wave + 1, began_ns=0)
        clusters = {name: report.cluster for name, report in fleet.items()}
        last = fresh.wave == len(WAVES) - 1  # in which nobody is left to compare with
        if not last and cohort.wanted(fresh.wave, clusters, self.policy) > len(one.members):  # others speak: again
            fresh = replace(fresh, error=one.error.again(), kpi=one.kpi.again())
        return self._advance(fresh, fleet, now_ns, notes)

    def _filled(self, one: Rollout, fleet: Mapping[str, Report], notes: list[Note]) -> Rollout:
        """Ask those who are missing in the wave; those who held it in the shadow may apply it from the first on."""
        members = dict(one.members)
        if one.wave:
            for name, member in members.items():
                if not member.apply and member.stage in HELD:
                    members[name] = replace(member, apply=True, given=False, waited_s=0.0)
        clusters = {name: report.cluster for name, report in fleet.items()}
        here = [name for name, report in fleet.items() if report.here]
        away = [name for name, member in members.items() if member.away]
        for name in cohort.missing(one.wave, clusters, here, members, away, self.policy, one.id):
            members[name] = Member(apply=one.wave > 0, cluster=clusters[name], away=name not in here)
            notes.append(Note("rollout asked", name, f"{one.id} {one.title}, wave {one.wave_name}"))
        return replace(one, members=members)


def wishes(one: Rollout) -> dict[str, str]:
    """What the director has not confirmed yet: gateway → "shadow", "service", or "" for taking it back."""
    wanted = {}
    for name, member in one.members.items():
        if member.given or member.stage is Stage.CLEARED or one.over:
            continue
        held = one.state is not State.ABORTING and member.stage in HELD
        wanted[name] = ("service" if member.apply else "shadow") if held else ""
    return wanted


def confirmed(one: Rollout, gateway: str) -> Rollout:
    """The director took the wish for this gateway down."""
    member = one.members.get(gateway)
    if member is None:
        return one
    return replace(one, members={**one.members, gateway: replace(member, given=True)})
