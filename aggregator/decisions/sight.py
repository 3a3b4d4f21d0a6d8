"""What the server has kept of the city, as decisions look at it: is a domain calibrated, what came of an indicator."""

from collections.abc import Callable

import numpy as np

from aggregator.decisions.checkpointed import UNKNOWN, Checkpointed
from aggregator.decisions.decision import Decision
from aggregator.stores.city import CityStore
from aggregator.twin.calibration import Verdict

NS = 1_000_000_000
STALE_NS = 300 * NS  # the server tells once a minute; later than this nobody looks at the domain
MEMBERS = 200  # drawn around a kept picture: an indicator of the mean is not the mean of the indicator


def verdict_of(store: CityStore) -> Callable[[str, int], Verdict]:
    """Of a domain at a time (UTC ns), as the server has told last."""

    def verdict(domain: str, now_ns: int) -> Verdict:
        shown = store.shown(domain, "health")
        if shown is None:
            return UNKNOWN
        at_ns, health = shown
        if now_ns - at_ns > STALE_NS:
            return Verdict(False, f"nothing was heard of its calibration for {(now_ns - at_ns) // NS} s")
        return Verdict(not health["automatic"], str(health["automatic"]) or "calibrated")

    return verdict


def gained(store: CityStore, city: Checkpointed, one: Decision) -> float | None:
    """The first indicator: the forecast without the decision, less what came of it; per step, while it ran.

    None where nothing is kept of those steps, or the city file is another one by now.
    """
    basis, domain = one.basis, one.basis.domain
    if domain not in city.standing or city.fingerprint(domain) != basis.model or not one.begun_ns:
        return None
    model = city.standing[domain][0]
    first = basis.t_ns // basis.dt_ns + 1
    gains = []
    for moment in store.series(domain, one.begun_ns, one.end_ns):
        if not 0 <= moment.k - first < len(basis.forecast) or len(moment.x) != model.n:
            continue
        noise = np.random.Generator(np.random.Philox(key=[0, moment.k]))
        members = moment.x[:, None] + moment.sd[:, None] * noise.standard_normal((model.n, MEMBERS))
        came = model.indicators(np.asarray(members, np.float64), model.exogenous(moment.k), moment.k)
        gains.append(basis.forecast[moment.k - first] - float(came[basis.expects[0].name].mean()))
    return float(np.mean(gains)) if gains else None
