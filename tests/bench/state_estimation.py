"""The partner of `energy-estimate`: power-grid-model's weighted least squares on the same meters.

Where nobody meters, it is given pseudo-measurements, as grid operators do: what is usual at that hour, and how far
from it loads usually are; of the grid above the same voltage as ours, known as well.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from power_grid_model import CalculationMethod, ComponentType, MeasuredTerminalType, PowerGridModel, initialize_array
from power_grid_model.errors import PowerGridError  # type: ignore[attr-defined]

from aggregator.domains.energy import Domain
from aggregator.domains.energy.network import IDS
from aggregator.twin import Floats

SENSORS = 7_000_000
SD_MIN = 1e-3  # of the widest: nothing is taken at many nodes, and to say so too surely leaves no solution


@dataclass(frozen=True, eq=False)
class LeastSquares:
    """One grid as it stands; `meters`: asset and quantity of each channel, in order."""

    domain: Domain
    meters: Sequence[tuple[str, str]]
    sd: Floats  # (C,)
    source_v: float
    source_sd: float

    def estimate(self, y: Floats, usual: Floats, spread: Floats) -> tuple[Floats, Floats] | None:
        """V of each bus and % of each line; None where it has no solution. `usual`, `spread` (n,) of the states."""
        network = self.domain.network(self.domain.grid.as_built)
        sensors = {"sym_voltage_sensor": self._voltages(y), "sym_power_sensor": self._powers(y, usual, spread)}
        model = PowerGridModel(network._input() | sensors)
        found = self._solved(model, CalculationMethod.newton_raphson)
        if found is None:
            found = self._solved(model, CalculationMethod.iterative_linear)
        if found is None:
            return None
        node, line = found[ComponentType.node], found[ComponentType.line]
        return node["u"][network.node], 100 * line["loading"]

    def _solved(self, model: PowerGridModel, method: CalculationMethod) -> Any:
        try:
            return model.calculate_state_estimation(calculation_method=method, error_tolerance=1e-6, max_iterations=50)
        except PowerGridError:
            return None

    def _voltages(self, y: Floats) -> Any:
        grid, node = self.domain.grid, self.domain.network(self.domain.grid.as_built).node
        at = [place for place, (_, quantity) in enumerate(self.meters) if quantity == "voltage"]
        found = initialize_array("input", "sym_voltage_sensor", len(at) + 1)
        found["id"] = SENSORS + np.arange(len(found))
        buses = [grid.place[self.meters[place][0]] for place in at]
        found["measured_object"] = node[[*buses, grid.bus_of("source")[0]]]
        found["u_measured"] = [*y[at], self.source_v]
        found["u_sigma"] = [*self.sd[at], self.source_sd]
        return found

    def _powers(self, y: Floats, usual: Floats, spread: Floats) -> Any:
        """A sensor for all that is taken at each node, and one for each metered branch."""
        grid, network = self.domain.grid, self.domain.network(self.domain.grid.as_built)
        mean, variance = usual.copy(), spread**2
        branches: dict[tuple[str, int], dict[str, int]] = {}
        for channel, (asset, quantity) in enumerate(self.meters):
            kind = next(kind for kind, ids in grid.kinds.items() if asset in ids)
            if (kind, quantity) in grid.layout:
                state = grid.layout[kind, quantity].start + grid.place[asset]
                mean[state], variance[state] = y[channel], self.sd[channel] ** 2
            elif quantity != "voltage":
                branches.setdefault((kind, grid.place[asset]), {})[quantity] = channel
        nodes = int(network.node.max()) + 1
        gather = (network.node == np.arange(nodes)[:, None]).astype(np.float64)
        found = initialize_array("input", "sym_power_sensor", nodes + len(branches))
        found["id"] = SENSORS + 500_000 + np.arange(len(found))
        found["measured_object"][:nodes] = IDS["load"] + np.arange(nodes)
        found["measured_terminal_type"][:nodes] = MeasuredTerminalType.load
        for name, of in (("p", grid.active), ("q", grid.reactive)):
            found[f"{name}_measured"][:nodes] = gather @ (of @ mean)
            sd = np.sqrt(gather @ (of.multiply(of) @ variance))
            found[f"{name}_sigma"][:nodes] = np.maximum(sd, SD_MIN * sd.max())
        for row, ((kind, place), channels) in enumerate(branches.items(), nodes):
            self._branch(found[row : row + 1], kind, place, channels, y)
        found["power_sigma"] = found["p_sigma"]
        return found

    def _branch(self, row: Any, kind: str, place: int, channels: Mapping[str, int], y: Floats) -> None:
        of_transformer = kind == "transformer"
        row["measured_object"] = IDS[kind] + place
        row["measured_terminal_type"] = (
            MeasuredTerminalType.branch_to if of_transformer else MeasuredTerminalType.branch_from
        )
        sign = -1.0 if of_transformer else 1.0
        for name, quantity in (("p", "active_power"), ("q", "reactive_power")):
            row[f"{name}_measured"] = sign * y[channels[quantity]]
            row[f"{name}_sigma"] = self.sd[channels[quantity]]
