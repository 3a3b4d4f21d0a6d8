"""Does this machine make of a model what the one that trained it made? Asked in a child process before it is used."""

import numpy as np

from edge_agent.twin.faults import GoldenMismatch
from edge_agent.twin.forecast import Forecast, network_of
from protos.bundle import Bundle

TOLERANCE = 1e-5  # of the terms of an increment, which are float32
ROUNDING = 1e-12  # of the state itself, which is float64


def check(bundle: Bundle) -> None:
    """Raises GoldenMismatch when a pair comes out differently, and ModelRefused for a network that cannot run here.

    Network outputs must be equal bit for bit, row by row and all at once; linear steps to the precision of float32.
    """
    golden = bundle.golden
    count = len(golden.x)
    for rows in (1, count) if bundle.network is not None and count else ():
        network = network_of(bundle, rows)
        assert network is not None
        for begin in range(0, count, rows):
            answered = network.exact(golden.z[begin : begin + rows])
            if wrong := int((answered != golden.r[begin : begin + rows]).any(axis=1).sum()):
                raise GoldenMismatch(f"{wrong} of {rows} golden pairs from {begin} on come out differently here")
    check_steps(bundle)


def check_steps(bundle: Bundle) -> None:
    """The linear steps alone. Raises GoldenMismatch."""
    golden, numbers = bundle.golden, bundle.numbers
    if not len(golden.x):
        return
    forecast = Forecast(bundle, len(golden.x))
    forecast.use_network(np.zeros(len(golden.x), np.bool_))
    stepped = forecast(golden.x, golden.u)
    x, u = np.abs(golden.x - numbers.x0), np.abs(golden.u - numbers.u0)
    terms = np.abs(numbers.f0 - numbers.x0) + x @ np.abs(numbers.A.T - np.eye(x.shape[1])) + u @ np.abs(numbers.B.T)
    far = np.abs(stepped - golden.linear) > TOLERANCE * terms + ROUNDING * np.abs(golden.x)
    if far.any():
        state = bundle.manifest.states[int(np.argmax(far.any(0)))].name
        raise GoldenMismatch(
            f"a linear step of {state} comes out differently here: the matrices and the pairs disagree"
        )
