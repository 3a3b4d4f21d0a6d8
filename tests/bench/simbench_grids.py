"""SimBench's grids (Meinecke et al. 2020, ODbL) as parts of a city, with a year of 15-minute profiles beside them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from aggregator.domains.energy import SETTINGS, asset
from aggregator.twin import Floats
from aggregator.twin.part import Asset, Part, Wire

STEP_S = 900
YEAR_BEGINS_S = 1_451_606_400  # 2016-01-01, the year of the profiles
HERTZ = 50.0


@dataclass(frozen=True, eq=False)
class SimBench:
    """`truth`: asset and quantity → its year, 35,136 quarters of an hour, in W and var. `net` is pandapower's."""

    name: str
    net: Any
    assets: list[Asset]
    truth: Mapping[tuple[str, str], Floats]
    readings: list[tuple[str, str]] = field(
        default_factory=list
    )  # assets and quantities that the grid's own data meter

    def part(self, wires: list[Wire], **settings: float) -> Part:
        every = {name: float(key.default or 0.0) for name, key in SETTINGS.items()}
        return Part("energy", self.assets, wires, every | settings)


def available() -> str:
    """Empty, or what is missing and how to get it."""
    try:
        import simbench  # noqa: F401
    except ImportError:
        return "simbench is missing; pip install 'citytwin[bench]'"
    return ""


def load(code: str) -> SimBench:
    import simbench

    net = simbench.get_simbench_net(code)
    net.trafo["tap_changer_type"] = "Ratio"  # the data do not say, and pandapower 3 passes over what is not said
    profiles = simbench.get_absolute_values(net, profiles_instead_of_study_cases=True)
    assets = [*buses(net), *lines(net), *transformers(net), *sources(net), *switches(net)]
    truth: dict[tuple[str, str], Floats] = {}
    for kind, table, of, names in (
        ("load", net.load, "load", {"p_mw": "active_power", "q_mvar": "reactive_power"}),
        ("pv", net.sgen, "sgen", {"p_mw": "active_power"}),
    ):
        for at in table.index:
            for column, quantity in names.items():
                truth[f"{kind}-{at}", quantity] = 1e6 * profiles[of, column][at].to_numpy(np.float64)
    assets += [injector(net, "load", at, truth) for at in net.load.index]
    assets += [injector(net, "pv", at, truth) for at in net.sgen.index]
    assets += [store(net, at) for at in net.storage.index]
    return SimBench(code, net, assets, truth, metered(net))


def buses(net: Any) -> list[Asset]:
    return [asset(f"bus-{at}", "bus", rated_v=1e3 * one.vn_kv) for at, one in net.bus.iterrows()]


def lines(net: Any) -> list[Asset]:
    """Turned, where the grid's own meter is at the end, so that it is where the line begins."""
    turned: set[int] = set()
    if len(net.measurement):
        meters = net.measurement[net.measurement.element_type == "line"]
        turned = {int(one.element) for _, one in meters.iterrows() if end_of(net, one) == "to"}
    found = []
    for at, one in net.line.iterrows():
        ends = (f"bus-{one.from_bus}", f"bus-{one.to_bus}")
        volts, length = 1e3 * net.bus.vn_kv[one.from_bus], one.length_km
        found.append(
            asset(
                f"line-{at}",
                "line",
                ends[::-1] if at in turned else ends,
                r_ohm=one.r_ohm_per_km * length / one.parallel,
                x_ohm=one.x_ohm_per_km * length / one.parallel,
                charging_var=2 * np.pi * HERTZ * one.c_nf_per_km * 1e-9 * length * one.parallel * volts**2,
                rated_a=1e3 * one.max_i_ka * one.df * one.parallel,
            )
        )
    return found


def end_of(net: Any, meter: Any) -> str:
    """A meter's side is a name, or the bus itself."""
    side = meter.side
    if side in ("from", "to"):
        return str(side)
    return "from" if int(side) == int(net.line.from_bus[int(meter.element)]) else "to"


def transformers(net: Any) -> list[Asset]:
    return [
        asset(
            f"transformer-{at}",
            "transformer",
            (f"bus-{one.hv_bus}", f"bus-{one.lv_bus}"),
            rated_va=1e6 * one.sn_mva * one.parallel,
            from_v=1e3 * one.vn_hv_kv,
            to_v=1e3 * one.vn_lv_kv,
            short_circuit=one.vk_percent,
            copper_w=one.vkr_percent / 100 * one.sn_mva * one.parallel * 1e6,
            iron_w=1e3 * one.pfe_kw * one.parallel,
            magnetising=one.i0_percent,
            clock=float(round(one.shift_degree / 30) % 12),
            tap=float(one.tap_pos - one.tap_neutral),
            tap_step=one.tap_step_percent,
        )
        for at, one in net.trafo.iterrows()
    ]


def sources(net: Any) -> list[Asset]:
    return [
        asset(f"source-{at}", "source", bus=f"bus-{one.bus}", voltage=100 * one.vm_pu, known_to=0.01, sway=0.0)
        for at, one in net.ext_grid.iterrows()
    ]


def switches(net: Any) -> list[Asset]:
    """Those that join buses, and those at branches that stand open."""
    found = []
    for at, one in net.switch.iterrows():
        if one.et == "b":
            ends = (f"bus-{one.bus}", f"bus-{one.element}")
        elif not one.closed:
            ends = (f"bus-{one.bus}", f"{'line' if one.et == 'l' else 'transformer'}-{one.element}")
        else:
            continue
        found.append(asset(f"switch-{at}", "switch", ends, closed=float(one.closed)))
    return found


def injector(net: Any, kind: str, at: int, truth: Mapping[tuple[str, str], Floats]) -> Asset:
    table = net.load if kind == "load" else net.sgen
    watts = truth[f"{kind}-{at}", "active_power"]
    bus = f"bus-{table.bus[at]}"
    if kind == "pv":
        return asset(f"pv-{at}", "pv", bus=bus, rated_w=max(1.0, float(watts.max())))
    var = truth[f"load-{at}", "reactive_power"]
    factor = float(np.cos(np.arctan2(abs(var.mean()), abs(watts.mean()))))
    return asset(f"load-{at}", "load", bus=bus, mean_w=abs(float(watts.mean())), power_factor=max(0.1, factor))


def store(net: Any, at: int) -> Asset:
    one = net.storage.loc[at]
    capacity = 1e6 * float(one.max_e_mwh)
    return asset(f"battery-{at}", "battery", bus=f"bus-{one.bus}", rated_w=1e6 * abs(one.sn_mva), capacity_wh=capacity)


def metered(net: Any) -> list[tuple[str, str]]:
    """What the grid's own table of meters measures, of what both estimators can take."""
    words = {"v": "voltage", "p": "active_power", "q": "reactive_power"}
    kinds = {"bus": "bus", "line": "line", "trafo": "transformer"}
    found: list[tuple[str, str]] = []
    for _, one in net.measurement.iterrows() if len(net.measurement) else ():
        if one.measurement_type in words and one.element_type in kinds:
            quantity = words[one.measurement_type]
            if (one.element_type == "bus") != (quantity == "voltage"):
                continue  # an injection at a bus, or a voltage at a branch
            found.append((f"{kinds[one.element_type]}-{int(one.element)}", quantity))
    return sorted(set(found))
