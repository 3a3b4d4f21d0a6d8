"""A gateway that acts, as its parts see it: the file of one, what is built of it, without a process or a device."""

from pathlib import Path

from edge_agent import field, plant
from edge_agent.config import Gateway, load
from edge_agent.field import Field
from edge_agent.plant import Plant
from protos.bundle import Bundle
from protos.clock import SteppedClock
from tests.bench.acting import echo_bundle
from tests.bench.acting import site as file_of
from tests.simulators.bundles import signing_key

PORTS = (50201, 50202)  # nobody is there


def site(
    folder: Path, *, outputs: int = 1, twins: int = 0, head: str = "", tail: str = "", period_ms: int = 100
) -> Path:
    return file_of(
        folder, PORTS[: max(outputs, 1)], period_ms=period_ms, outputs=outputs, twins=twins, head=head, tail=tail
    )


def echo(period_ms: int = 100, version: str = "1") -> Bundle:
    return Bundle.open(echo_bundle(period_ms, version), [signing_key().public_key()])


def built(file: Path, **bundles: Bundle) -> tuple[Gateway, Field, Plant]:
    config, clock = load(file), SteppedClock(10**12)
    around = field.build(config, clock)
    return config, around, plant.build(config, clock, around, bundles)
