"""The forecast of a twin for controllers that look ahead: many candidates at once, see `setpoint.Predictor`."""

import numpy as np

from edge_agent.image import Floats
from edge_agent.twin.forecast import Forecast
from protos.bundle import Bundle

BATCHES_MAX = 4  # numbers of candidates that are kept prepared


class TwinPredictor:
    """One step of all candidates. It stays the same object when the twin's model is swapped.

    The network is asked only within the range of its training; while it is not believed, candidates are linear.
    """

    def __init__(self, bundle: Bundle) -> None:
        self.bundle = bundle
        self.states = tuple(one.name for one in bundle.manifest.states)
        self.inputs = tuple(one.name for one in bundle.manifest.inputs)
        self.period_ns = bundle.manifest.period_ns
        self._forecasts: dict[int, Forecast] = {}
        self._believed = bundle.network is not None

    def predict(self, x: Floats, u: Floats) -> Floats:
        """One step of B candidates: x (B, n), u (B, m) → (B, n), a new array, internal units.

        The first call with another B prepares a graph, which takes a millisecond or two: see `warm`.
        """
        forecast = self._forecasts.get(len(x))
        if forecast is None:
            forecast = self.warm(len(x))
        return forecast(x, u)

    def warm(self, rows: int) -> Forecast:
        """Prepare for so many candidates. Raises ModelRefused."""
        if len(self._forecasts) >= BATCHES_MAX:
            self._forecasts.pop(next(iter(self._forecasts)))
        forecast = self._forecasts[rows] = Forecast(self.bundle, rows)
        forecast.use_network(np.full(rows, self._believed))
        return forecast

    def believe(self, *, network: bool) -> None:
        """Whether the network corrects the candidates from now on."""
        if network != self._believed:
            self._believed = network
            for rows, forecast in self._forecasts.items():
                forecast.use_network(np.full(rows, network))

    def fits(self, other: "TwinPredictor") -> bool:
        """Whether it can stand in for the other one: same states, inputs and period."""
        return (self.states, self.inputs, self.period_ns) == (other.states, other.inputs, other.period_ns)

    def prepare_like(self, other: "TwinPredictor") -> None:
        """Prepare for as many candidates as the other one. Raises ModelRefused."""
        for rows in other._forecasts:
            self.warm(rows)

    def become(self, other: "TwinPredictor") -> None:
        """Predict with the other one's model from now on."""
        self.bundle, self._forecasts, self._believed = other.bundle, other._forecasts, other._believed
