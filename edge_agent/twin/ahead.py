"""Steps of many candidates of one plant, see `setpoint.Predictor`: what they have in common is worked out once.

They begin at one state, and their inputs differ in those that are moved; all that is the same for all of them is one
row of the forecast's matrix, made when a plan begins. What is left is small: distances from the beginning, which single
precision holds without losing an increment, however slow the plant.
"""

from collections.abc import Sequence

import numpy as np

from edge_agent.image import Floats, Singles
from edge_agent.twin.forecast import Forecast


class Ahead:
    """x⁺ − x of the rows of a forecast, step by step."""

    def __init__(self, forecast: Forecast, moved: Sequence[int]) -> None:
        n = forecast.n
        self.forecast = forecast
        self._matrix: Singles = forecast.matrix[[*range(n), *(n + number for number in moved), -1]]
        self._w: Singles = np.ones((forecast.rows, len(self._matrix)), np.float32)
        self._dx, self._du = self._w[:, :n], self._w[:, n:-1]

    def begin(self, x: Floats, inputs: Floats) -> None:
        """Where the steps to come begin: x (n,), with the inputs (k,) as they are."""
        forecast = self.forecast
        row = np.concatenate((x - forecast.x0, inputs - forecast.u0, (1.0,))).astype(np.float32)
        np.dot(row, forecast.matrix, self._matrix[-1])
        self._dx[:] = 0.0

    def __call__(self, u: Singles, out: Singles) -> None:
        forecast, dx = self.forecast, self._dx
        self._du[:] = u
        np.dot(self._w, self._matrix, forecast.product)
        forecast.correct()
        np.add(dx, forecast.bracket, out=dx)
        out[:] = dx
