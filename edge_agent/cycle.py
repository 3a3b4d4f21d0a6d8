"""One tick of the control loop, on one frozen process image: estimate, wish, narrow, guard. No IO, no clock.

The scan of a PLC: everything is decided on the same view, in one fixed order, and written once. What the guard judged
is what is set.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from edge_agent.control.arbiter import Arbiter
from edge_agent.control.guard import Guard
from edge_agent.image import Frame, View
from edge_agent.setpoint import FAULTS, Controller, Decision


class Estimator(Protocol):
    def step(self, view: View) -> Sequence[Frame]:
        """The estimates of all twins one period on, from what the view has of their points."""


@dataclass(frozen=True, slots=True)
class Tick:
    view: View
    estimates: Sequence[Frame]
    decisions: Sequence[Decision]  # of each output


def cycle(
    view: View, twins: Estimator | None, controllers: Sequence[Controller], arbiter: Arbiter, guard: Guard
) -> Tick:
    """Decide every output once. `controllers` are in the order of rank; `view` is the caller's to give away."""
    estimates = twins.step(view) if twins is not None else ()
    for frame in estimates:
        view.take(frame)
    now = view.now_ns
    arbiter.begin(guard.standing())
    for controller in controllers:
        if not arbiter.conduct.may(controller.name, now):
            continue
        try:
            wishes = controller.decide(view, arbiter.standing)
        except FAULTS as error:
            arbiter.conduct.fault(controller.name, f"{type(error).__name__}: {error}", now)
            continue
        arbiter.narrow(controller, wishes, now)
    return Tick(view, estimates, guard.judge(arbiter.conclude(now), now))
