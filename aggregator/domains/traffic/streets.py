"""The network as arrays: links, who follows whom, which stages serve which, where they stand in each other's way."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
import scipy.sparse as sp

from aggregator.twin import BadModel, Floats, Ints
from aggregator.twin.model import Sparse
from aggregator.twin.part import Asset, Part

ALWAYS = "always"
SHARES = 1e-6  # by which shares may be more than all, for what rounding does


@dataclass(frozen=True, eq=False)
class Streets:
    """E links, J junctions, S stages, in the city file's order. Times in s, flows in vehicles a second."""

    links: Sequence[Asset]
    junctions: Sequence[Asset]
    stages: Sequence[Asset]
    routes: Sequence[Asset]
    turns: Sparse  # (E, E): of those who leave column l, the share that goes into row m; the rest ends there

    @property
    def E(self) -> int:
        return len(self.links)

    def of_links(self, key: str) -> Floats:
        return np.array([one.number(key) for one in self.links])

    @cached_property
    def place(self) -> Mapping[str, int]:
        return {one.id: i for i, one in enumerate(self.links)}

    @cached_property
    def ends(self) -> tuple[Ints, Ints]:
        """Junctions where each link begins and ends (E,), (E,)."""
        at = {one.id: i for i, one in enumerate(self.junctions)}
        first, last = ([at[one.ends[side]] for one in self.links] for side in (0, 1))
        return np.array(first, np.int64), np.array(last, np.int64)

    @cached_property
    def free_s(self) -> Floats:
        """(E,) to drive the link without anybody in the way."""
        return self.of_links("length_m") / (self.of_links("free_speed") / 3.6)

    @cached_property
    def storage(self) -> Floats:
        """(E,) vehicles that find room."""
        return np.maximum(self.of_links("length_m") / 1000 * self.of_links("lanes") * self.of_links("jam_density"), 1.0)

    @cached_property
    def saturation(self) -> Floats:
        """(E,) discharge with green."""
        return self.of_links("capacity") * self.of_links("lanes") / 3600

    @cached_property
    def serves(self) -> Sparse:
        """(E, S) 1 where the stage gives green to the link."""
        found = sp.lil_array((self.E, len(self.stages)))
        at = {one.id: i for i, one in enumerate(self.stages)}
        for i, one in enumerate(self.links):
            for name in served_by(one):
                found[i, at[name]] = 1.0
        return sp.csr_array(found)

    @cached_property
    def held(self) -> Floats:
        """(E,) 1 where signals hold the link."""
        return np.minimum(np.asarray(self.serves.sum(axis=1)).ravel(), 1.0)

    @cached_property
    def greens(self) -> Floats:
        """(S,) s of the plan that runs."""
        return np.array([one.number("green_s") for one in self.stages])

    @cached_property
    def stage_at(self) -> Ints:
        """(S,) the junction of each stage."""
        at = {one.id: i for i, one in enumerate(self.junctions)}
        return np.array([at[one.text("junction")] for one in self.stages], np.int64)

    @cached_property
    def cycles(self) -> Floats:
        """(J,) s; 0 without signals."""
        return np.array([one.number("cycle_s") for one in self.junctions])

    def share(self, greens: Floats) -> Floats:
        """(E,) of the time that each link has green, 1 where nothing holds it."""
        cycle = np.maximum(self.cycles[self.ends[1]], 1.0)
        return np.where(self.held > 0, np.minimum((self.serves @ greens) / cycle, 1.0), 1.0)

    @cached_property
    def delay_s(self) -> Floats:
        """(E,) usual time with light traffic: the drive, and a random arrival's wait (Webster 1958)."""
        cycle = self.cycles[self.ends[1]]
        share = self.share(self.greens)
        return self.free_s + cycle * (1 - share) ** 2 / 2 * self.held

    def routed(self, route: Asset) -> Ints:
        return np.array([self.place[name] for name in route.text("links").split()], np.int64)


def served_by(link: Asset) -> list[str]:
    words = link.text("stages").split()
    return [] if words == [ALWAYS] else words


def streets_of(part: Part) -> Streets:
    """Raises BadModel with all that does not fit together."""
    links, junctions, stages, routes = (part.of(kind) for kind in ("link", "junction", "stage", "route"))
    if not links:
        raise BadModel("traffic: no links; nothing can drive")
    faults = [*faults_of_stages(links, junctions, stages), *faults_of_routes(links, routes)]
    turns = turns_of(links, part.of("turn"), faults)
    if faults:
        raise BadModel("\n".join(faults))
    return Streets(links, junctions, stages, routes, turns)


def faults_of_stages(links: Sequence[Asset], junctions: Sequence[Asset], stages: Sequence[Asset]) -> list[str]:
    known = {one.id: one for one in junctions}
    at = {one.id: one.text("junction") for one in stages}
    faults = [
        f"{one.id}: junction = {one.text('junction')}, which is none; write the id of a junction"
        for one in stages
        if one.text("junction") not in known
    ]
    for one in links:
        faults += [
            f"{one.id}: stages has {name}, which is no stage of {one.ends[1]}, where the link ends"
            for name in served_by(one)
            if at.get(name) != one.ends[1]
        ]
    for one in junctions:
        own = [stage for stage in stages if stage.text("junction") == one.id]
        total = sum(stage.number("green_s") for stage in own) + one.number("lost_s")
        if own and total > one.number("cycle_s") + 0.5:
            faults.append(f"{one.id}: greens and lost_s make {total:g} s of a cycle_s of {one.number('cycle_s'):g}")
    return faults


def faults_of_routes(links: Sequence[Asset], routes: Sequence[Asset]) -> list[str]:
    known = {one.id: one for one in links}
    faults = []
    for one in routes:
        names = one.text("links").split()
        missing = [name for name in names if name not in known]
        faults += [f"{one.id}: links has {name}, which is no link" for name in missing]
        gaps = [] if missing else [(a, b) for a, b in pairwise(names) if known[a].ends[1] != known[b].ends[0]]
        faults += [f"{one.id}: {b} does not begin where {a} ends" for a, b in gaps]
        if not names:
            faults.append(f"{one.id}: no links")
    return faults


def turns_of(links: Sequence[Asset], turns: Sequence[Asset], faults: list[str]) -> Sparse:
    """(E, E). Appends to `faults` what does not fit."""
    place = {one.id: i for i, one in enumerate(links)}
    said: dict[int, dict[int, float]] = {}
    for one in turns:
        a, b = (place[end] for end in one.ends)
        if links[a].ends[1] != links[b].ends[0]:
            faults.append(f"{one.id}: {one.ends[1]} does not begin where {one.ends[0]} ends")
        if b in said.setdefault(a, {}):
            faults.append(f"{one.id}: a second turn from {one.ends[0]} to {one.ends[1]}")
        said[a][b] = one.number("share")
    found = sp.lil_array((len(links), len(links)))
    begins: dict[str, list[int]] = {}
    for i, one in enumerate(links):
        begins.setdefault(one.ends[0], []).append(i)
    for i, one in enumerate(links):
        shares = said.get(i) or by_lanes(links[i], links, begins.get(one.ends[1], []))
        if sum(shares.values()) > 1 + SHARES:
            faults.append(f"{one.id}: its turns take {sum(shares.values()):.3g} of those who leave it; 1 is all")
        for m, share in shares.items():
            found[m, i] = share * (1 - one.number("ending"))
    return sp.csr_array(found)


def by_lanes(link: Asset, links: Sequence[Asset], following: Sequence[int]) -> dict[int, float]:
    """Nobody turns round but where there is no other way… and then only if the way goes on at all."""
    on = [m for m in following if links[m].ends[1] != link.ends[0]]
    lanes = sum(links[m].number("lanes") for m in on)
    return {m: links[m].number("lanes") / lanes for m in on}
