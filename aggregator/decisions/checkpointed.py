"""The city at one moment: every domain with what is believed of it. Where scenarios, risks and decisions begin."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256

import numpy as np

from aggregator.city.coupling import Coupling
from aggregator.city.file import City
from aggregator.city.live import Live
from aggregator.stores import StoreError
from aggregator.stores.city import CityStore
from aggregator.twin import BadModel, BeyondLag
from aggregator.twin.belief import Belief
from aggregator.twin.calibration import Verdict
from aggregator.twin.domain import Domain
from aggregator.twin.part import Part
from aggregator.twin.snapshot import fingerprint

UNKNOWN = Verdict(False, "nothing is known of its calibration")


@dataclass(frozen=True, eq=False)
class Checkpointed:
    """Beliefs are of the steps that the domains had reached. Nobody changes it: `fresh` gives domains that may be."""

    city: City
    standing: Mapping[str, tuple[Domain, Belief]]  # in the order of the couplings
    q_scale: Mapping[str, float] = field(default_factory=dict)  # the calibration's, 1 where nothing is said
    verdicts: Mapping[str, Verdict] = field(default_factory=dict)
    notes: Sequence[str] = ()  # what people should know of it

    @property
    def couplings(self) -> Sequence[Coupling]:
        return self.city.couplings

    @property
    def t_ns(self) -> int:
        """UTC: the moment that every domain has reached."""
        return min(belief.k * domain.dt_ns for domain, belief in self.standing.values())

    def verdict(self, domain: str) -> Verdict:
        """Whether decisions about `domain` may be taken without a person."""
        return self.verdicts.get(domain, UNKNOWN)

    def digest(self, domain: str = "") -> str:
        """SHA-256 of what is believed of one domain, or of all: what results and decisions name as their state."""
        if domain:
            return self.standing[domain][1].digest()
        each = [f"{name} {belief.digest()}" for name, (_, belief) in self.standing.items()]
        return sha256("\n".join(each).encode()).hexdigest()

    def fingerprint(self, domain: str) -> str:
        """Of the domain's model."""
        return fingerprint(self.standing[domain][0])

    def fresh(self, parts: Mapping[str, Part] | None = None) -> dict[str, Domain]:
        """Domains of one's own, with copies of the inputs: all of them, or those of `parts`, made from these.

        Raises BadModel for parts that do not fit together, or that would have other states.
        """
        city = self.city if parts is None else replace(self.city, parts=parts)
        made = city.domains()
        for name, domain in made.items():
            old = self.standing[name][0]
            if list(domain.states) != list(old.states):
                raise BadModel(f"domain {name}: the change gives it other states; change values, not what there is")
            domain.inputs = old.inputs.copied()
        return made


def of_live(live: Live, at_ns: int | None = None) -> Checkpointed:
    """The live city now, or at a moment that its rings still hold. Raises BeyondLag."""
    standing, q_scale, verdicts = {}, {}, {}
    for name, lane in live.lanes.items():
        k = lane.fuser.k if at_ns is None else min(lane.fuser.k, at_ns // lane.domain.dt_ns)
        checkpoint = lane.fuser.checkpoint(k)
        standing[name] = lane.domain, checkpoint.belief
        q_scale[name] = checkpoint.calibration.q_scale
        verdicts[name] = checkpoint.calibration.automatic()
    return Checkpointed(live.city, standing, q_scale, verdicts)


def opened(city: City, store: CityStore, now_ns: int, at_ns: int | None = None) -> Checkpointed:
    """The city as its server has kept it, at its last checkpoint or at an earlier moment.

    Older than the lag: from the picture that was kept of that step, single-precision and without correlations; the
    notes say so. Raises StoreError where nothing is kept of a domain.
    """
    live = Live(city, now_ns)
    lost = live.unpack(store.checkpoints()[1])
    if lost:
        why = "; ".join(f"{name}: {reason}" for name, reason in lost.items())
        raise StoreError(f"no checkpoint of this city: {why}; start the server and let it run for a minute")
    try:
        return of_live(live, at_ns)
    except BeyondLag:
        return _pictured(live, store, at_ns or now_ns)


def _pictured(live: Live, store: CityStore, at_ns: int) -> Checkpointed:
    standing = {}
    for name, lane in live.lanes.items():
        moment = store.moment(name, at_ns)
        variance = np.asarray(moment.sd, np.float64) ** 2
        belief = Belief(moment.k, np.asarray(moment.x, np.float64), variance, np.zeros((lane.domain.n, 0)))
        if len(belief.x) != lane.domain.n:
            raise StoreError(f"what is kept of {name} then is of another city file; choose a later moment")
        standing[name] = lane.domain, belief
    note = "older than the lag: begun from kept pictures, without correlations, with inputs as far as they are held"
    return Checkpointed(live.city, standing, notes=(note,))
