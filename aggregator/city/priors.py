"""What each gateway is told of the states that its own twin holds: mean and variance, with the step."""

from collections.abc import Iterable

import numpy as np

from aggregator.city.live import Lane
from protos import sync_pb2


def priors(lanes: Iterable[Lane]) -> dict[str, list[sync_pb2.Prior]]:
    """By gateway, one for each domain that it measures something of."""
    told: dict[str, list[sync_pb2.Prior]] = {}
    for lane in lanes:
        for gateway in lane.channels.gateways:
            rows, belief = lane.fuser.prior_for(gateway)
            known = np.flatnonzero(belief.variance > 0)
            if len(known):
                names = [f"{lane.domain.states[i].asset}/{lane.domain.states[i].quantity}" for i in rows[known]]
                prior = sync_pb2.Prior(
                    domain=lane.name,
                    k=belief.k,
                    dt_ns=lane.domain.dt_ns,
                    states=names,
                    mean=belief.x[known].tolist(),
                    variance=belief.variance[known].tolist(),
                )
                told.setdefault(gateway, []).append(prior)
    return told
