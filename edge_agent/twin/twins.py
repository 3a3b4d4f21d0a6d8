"""All twins of a gateway, as the control loop uses them. No IO, no clock, no threads."""

from collections.abc import Mapping, Sequence

from edge_agent.cell import TwinSpec
from edge_agent.image import Frame, Layout, View
from edge_agent.setpoint import Port
from edge_agent.twin.fleet import Fleet, Member
from edge_agent.twin.int8 import Bools
from edge_agent.twin.predictor import TwinPredictor
from edge_agent.twin.tally import Tally
from protos.bundle import Bundle


class Twins:
    """Built of each twin's bundle; `step` once in a tick, on the frozen view, before the controllers.

    Building loads models and takes milliseconds: do it outside the loop. `take_over` and `lead`, in the loop, take
    microseconds and swap it in without a bump.
    """

    def __init__(
        self,
        models: Sequence[tuple[TwinSpec, Bundle]],
        ports: Mapping[str, Port],
        layouts: Mapping[str, Layout],
    ) -> None:
        """`ports` by device/point, `layouts` by twin, as placed in the image (`points.points_of` says which points).

        Raises ModelRefused for a bundle that cannot run here, KeyError for a point without a port: check the
        specs with `points.wrong_with` first.
        """
        groups: dict[str, list[tuple[TwinSpec, Bundle]]] = {}
        for spec, bundle in models:
            groups.setdefault(bundle.digest, []).append((spec, bundle))
        self.fleets: list[Fleet] = []
        for group in groups.values():
            members = [
                Member(spec, bundle, ports_of(spec, bundle, ports), layouts[spec.name]) for spec, bundle in group
            ]
            self.fleets.append(Fleet(group[0][1], members))
        self._fleet_of = {name: fleet for fleet in self.fleets for name in fleet.rows}
        self._predictors = {spec.name: TwinPredictor(bundle) for spec, bundle in models}
        self._told: dict[Fleet, Bools] = {}  # which networks are believed, as the predictors know it

    @property
    def names(self) -> Sequence[str]:
        return list(self._predictors)

    def bundle(self, name: str) -> Bundle:
        """The bundle that this twin runs. Raises KeyError."""
        return self._fleet_of[name].bundle

    def predictor(self, name: str) -> TwinPredictor | None:
        """The model of a twin for controllers that look ahead; None when there is no such twin."""
        return self._predictors.get(name)

    def step(self, view: View, now_ns: int) -> Sequence[Frame]:
        """One frame for each twin whose step is due, quality UNCERTAIN ESTIMATED; put them into the image too.

        A twin that is slower than the loop gives none in between: its points in the image grow older, as a sensor's do.
        """
        frames = [frame for fleet in self.fleets for frame in fleet.attempt(view, now_ns)]
        for fleet in self.fleets:
            if (believed := fleet.doubt.believed) is not self._told.get(fleet):
                self._told[fleet] = believed
                for name, row in fleet.rows.items():
                    self._predictors[name].believe(network=bool(believed[row]))
        return frames

    def take_over(self, old: "Twins") -> None:
        """Go on where `old` is: estimates, variances and last inputs of what has the same name."""
        for name, fleet in self._fleet_of.items():
            if name in old._fleet_of:
                fleet.take_over(name, old._fleet_of[name])

    def lead(self, old: "Twins") -> None:
        """Predict from now on for the controllers that hold predictors of `old`, where the models have the same names.

        `old` gets others, so that it may step on beside this one.
        """
        for name, mine in self._predictors.items():
            before = old._predictors.get(name)
            if before is not None and mine.fits(before):
                old._predictors[name] = TwinPredictor(before.bundle)
                before.become(mine)
                self._predictors[name] = before
        old._told.clear()
        self._told.clear()

    def prepare_like(self, old: "Twins") -> None:
        """Have graphs ready for as many candidates as `old` has; outside the loop, before `take_over`."""
        for name, predictor in self._predictors.items():
            if (before := old._predictors.get(name)) is not None:
                predictor.prepare_like(before)

    def tally(self, name: str) -> Tally:
        """How this twin did since the last time it was asked. Raises KeyError."""
        fleet = self._fleet_of[name]
        return fleet.tallies.take(fleet.rows[name])

    def scales(self, name: str) -> Mapping[str, float]:
        """What a residual of each channel is measured in: the standard deviation of its noise in this model."""
        bundle = self._fleet_of[name].bundle
        channels = bundle.manifest.channels
        return {one.name: float(bundle.numbers.R[k, k]) ** 0.5 for k, one in enumerate(channels)}

    def health(self) -> Mapping[str, float]:
        """Gauges: `<twin>.<what>`, since the start of this model."""
        found: dict[str, float] = {}
        for name, fleet in self._fleet_of.items():
            row, tallies = fleet.rows[name], fleet.tallies
            found |= {
                f"{name}.steps_total": int(tallies.steps[row]),
                f"{name}.nan_total": int(tallies.nan[row]),
                f"{name}.outside_total": int(tallies.outside[row]),
                f"{name}.nis": float(tallies.nis[row]),
                f"{name}.network": float(fleet.doubt.believed[row]),
                f"{name}.settled": float(fleet.filter.settled[row]),
            }
        return found


def ports_of(spec: TwinSpec, bundle: Bundle, ports: Mapping[str, Port]) -> dict[str, Port]:
    """By the bundle's names. Raises KeyError for a point that has no port, or an input that is no point."""
    channels = [one.name for one in bundle.manifest.channels if one.name in spec.points]
    return {name: ports[spec.points[name]] for name in (*channels, *(one.name for one in bundle.manifest.inputs))}
