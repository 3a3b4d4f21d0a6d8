"""Who is next: a fixed order of gateways in which every cluster comes early, whoever joins or leaves."""

import hashlib
import math
from collections.abc import Collection, Mapping

from aggregator.rollout.policy import Policy


def order(gateways: Mapping[str, str], salt: str) -> list[str]:
    """Gateways (→ cluster) by turns of clusters, within each by a hash: no gateway is always the first to suffer.

    One that joins or leaves moves no other of its cluster against another.
    """
    by_hash = sorted(gateways, key=lambda name: hashlib.sha256(f"{salt}/{name}".encode()).digest())
    turns: dict[str, int] = {}
    places = {}
    for name in by_hash:
        cluster = gateways[name]
        places[name] = turns.get(cluster, 0)
        turns[cluster] = places[name] + 1
    return sorted(by_hash, key=lambda name: places[name])


def wanted(wave: int, fleet: Mapping[str, str], policy: Policy) -> int:
    """How many of these gateways the wave has, those of the waves before it included."""
    n = len(fleet)
    if wave == 0:
        return min(n, policy.shadow_gateways, max(1, n // 2))
    if wave == 3:
        return n
    first = max(math.ceil(policy.first_share * n), policy.first_least, len(set(fleet.values())))
    return min(n, first if wave == 1 else max(first, math.ceil(policy.second_share * n)))


def missing(
    wave: int,
    fleet: Mapping[str, str],
    here: Collection[str],
    members: Collection[str],
    away: Collection[str],
    policy: Policy,
    salt: str,
) -> list[str]:
    """Who is to join now. Those who are not `here` wait for the last wave; a member that is `away` is stood in for."""
    count = wanted(wave, fleet, policy)
    able = fleet if wave == 3 else {name: cluster for name, cluster in fleet.items() if name in here}
    present = [name for name in members if name in fleet and (wave == 3 or name not in away)]
    room = count - len(present)
    return [name for name in order(able, salt) if name not in members][: max(0, room)]
