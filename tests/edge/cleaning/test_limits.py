"""Checks that cannot be set up are told all at once, each with point, key, value and remedy."""

import pytest

from edge_agent.cleaning import Cleaning, CleaningError
from edge_agent.profile import PointSpec


def test_every_fault_at_once() -> None:
    points = [
        PointSpec("a", "voltage", "V", checks={"rnage": {"min": 1}}),
        PointSpec("b", "voltage", "V", checks={"range": {"minimum": 1}}),
        PointSpec("c", "voltage", "V", checks={"rate": {}}),
        PointSpec("d", "voltage", "V", checks={"stuck": {"after_s": 0}}),
        PointSpec("e", "voltage", "V", checks={"range": {"min": 5, "max": 4}}),
        PointSpec("f", "voltage", "A"),
        PointSpec("g", "irradianc", "m/s"),
        PointSpec("h", "voltage", "V", checks={"spike": {"sigmas": float("nan")}}),
        PointSpec("h", "voltage", "V", checks={"spike": {"sigmas": float("nan")}}),
    ]
    with pytest.raises(CleaningError) as raised:
        Cleaning(points)
    assert raised.value.faults == (
        "point 'f': unit 'A' of voltage measures current; use one of V, mV, kV",
        "point 'g': quantity 'irradianc' is not in the vocabulary; did you mean irradiance or radiation or rain?",
        "point 'a': checks.rnage is no check; there are range, timing, duplicate, rate, stuck, spike",
        "point 'b': checks.range.minimum is no parameter of this check; it has min, max",
        "point 'e': checks.range leaves nothing between 5 and 4; min must be below max",
        "point 'c': checks.rate does not say max_per_s; write checks.rate = { max_per_s = … }",
        "point 'd': checks.stuck.after_s is 0; a finite number of at least 1",
        "point 'h': checks.spike.sigmas is nan; a finite number of at least 1",
    )
