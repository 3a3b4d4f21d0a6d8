"""Every example site reads without fault, agrees with the schema, names what is to be confirmed, and can act as it
says."""

import tomllib
from pathlib import Path

import jsonschema
import numpy as np
import pytest

from edge_agent import field, plant
from edge_agent.config import load
from edge_agent.config.gateway import SITE
from edge_agent.config.schema import of_section
from edge_agent.image import Frame
from edge_agent.setpoint import Standing
from protos.clock import NS, SteppedClock

SITES = sorted((Path(__file__).parents[3] / "firmware_configs" / "sites").glob("*.toml"))


@pytest.mark.parametrize("file", SITES, ids=lambda file: file.stem)
def test_site(file: Path) -> None:
    gateway = load(file)
    assert gateway.district == file.stem
    assert len(gateway.devices) >= 6
    text = file.read_text()
    assert text.startswith("#:schema ../site.schema.json\n")
    jsonschema.validate(tomllib.loads(text), of_section(SITE))


@pytest.mark.parametrize("file", SITES, ids=lambda file: file.stem)
def test_what_it_says_of_acting_can_be_built(file: Path) -> None:
    """Its twins have no models yet: those come by installation."""
    gateway, clock = load(file), SteppedClock()
    cell = gateway.cell
    built = plant.build(gateway, clock, field.build(gateway, clock), {}, load_models=False)
    waiting = {one.name for one in cell.controllers if one.settings.get("twin") in {twin.name for twin in cell.twins}}
    assert {one.name for one in built.controllers} == {one.name for one in cell.controllers} - waiting
    assert len(built.targets) == len(cell.outputs)
    assert not {output.name for output in cell.outputs} - {
        name for one in cell.controllers for name in one.outputs.values()
    }, "an output that nobody sets"


def test_the_crossing_asks_its_cabinet_for_those_who_wait() -> None:
    """North and south are green and empty, the side street is full: its stage is asked for, and nothing is driven."""
    gateway, clock = load(next(file for file in SITES if file.stem == "station")), SteppedClock(10**12)
    built = plant.build(gateway, clock, field.build(gateway, clock), {})
    image, (output,), (crossing,) = built.field.image, gateway.cell.outputs, built.controllers
    values = dict.fromkeys(image.names, 0.0)
    now = {"stage": 1, "stage_age": 12, "min_green": 5, "yellow": 3, "all_red": 1, "lane_4_between": 7}
    values |= {f"cabinet/{name}": float(value) for name, value in now.items()}
    values |= {"cabinet/lane_4_covered": 1.0, "cabinet/lane_4_standing": 1.0}
    asked = set[float]()
    for tick in range(20):
        now_ns = 10**12 + tick * gateway.cell.period_ns
        for layouts in built.field.layouts:
            for layout in layouts:
                shown = [values[f"{layout.device}/{point}"] for point in layout.points]
                image.take(Frame(layout, now_ns, now_ns, np.array(shown)))
        values["cabinet/stage_age"] += gateway.cell.period_ns / NS
        standing = [Standing(0.0, output.low, output.high, "")]
        asked |= {wish.low for wish in crossing.decide(image.freeze(now_ns), standing)}
    assert 304.0 in asked, "force off to stage 4"
    assert asked <= {0.0, 304.0, *(100.0 * ask + stage for ask in (1, 2) for stage in (1, 4))}


def test_the_three_districts_are_there() -> None:
    assert {file.stem for file in SITES} >= {"north", "centre", "harbour"}
    assert len({load(file).id for file in SITES}) == len(SITES)
