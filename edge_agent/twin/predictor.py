"""The forecast of a twin for controllers that look ahead: many candidates at once, see `setpoint.Predictor`."""

from collections.abc import Sequence

import numpy as np

from edge_agent.image import Floats
from edge_agent.twin.ahead import Ahead
from edge_agent.twin.forecast import Forecast
from protos.bundle import Bundle

PLANS_MAX = 4  # kinds of plans, by number of candidates and moved inputs, that are kept prepared

Plan = tuple[int, tuple[int, ...]]


class TwinPredictor:
    """Steps of candidates. It stays the same object when the twin's model is swapped.

    The network is asked only within the range of its training; while it is not believed, candidates are linear.
    """

    def __init__(self, bundle: Bundle) -> None:
        self.bundle = bundle
        self.states = tuple(one.name for one in bundle.manifest.states)
        self.inputs = tuple(one.name for one in bundle.manifest.inputs)
        self.period_ns = bundle.manifest.period_ns
        self._plans: dict[Plan, Ahead] = {}
        self._believed = bundle.network is not None

    def ahead(self, rows: int, x: Floats, inputs: Floats, moved: Sequence[int]) -> Ahead:
        """Steps of B candidates from x (n,) and inputs (k,) on: u (B, moved) → (B, n), as distances from these.

        The first call for another B, or other inputs, prepares a graph, which takes a millisecond or two: see `warm`.
        """
        plan = rows, tuple(moved)
        ahead = self._plans.get(plan)
        if ahead is None:
            ahead = self.warm(plan)
        ahead.begin(x, inputs)
        return ahead

    def warm(self, plan: Plan) -> Ahead:
        """Prepare for so many candidates that move these inputs. Raises ModelRefused."""
        if len(self._plans) >= PLANS_MAX:
            self._plans.pop(next(iter(self._plans)))
        rows, moved = plan
        forecast = Forecast(self.bundle, rows)
        forecast.use_network(np.full(rows, self._believed))
        ahead = self._plans[plan] = Ahead(forecast, moved)
        return ahead

    def believe(self, *, network: bool) -> None:
        """Whether the network corrects the candidates from now on."""
        if network != self._believed:
            self._believed = network
            for (rows, _), ahead in self._plans.items():
                ahead.forecast.use_network(np.full(rows, network))

    def fits(self, other: "TwinPredictor") -> bool:
        """Whether it can stand in for the other one: same states, inputs and period."""
        return (self.states, self.inputs, self.period_ns) == (other.states, other.inputs, other.period_ns)

    def prepare_like(self, other: "TwinPredictor") -> None:
        """Prepare for the plans that the other one makes. Raises ModelRefused."""
        for plan in other._plans:
            self.warm(plan)

    def become(self, other: "TwinPredictor") -> None:
        """Predict with the other one's model from now on."""
        self.bundle, self._plans, self._believed = other.bundle, other._plans, other._believed
