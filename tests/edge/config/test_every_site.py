"""Every example site reads without fault, agrees with the schema, and names what is to be confirmed."""

import tomllib
from pathlib import Path

import jsonschema
import pytest

from edge_agent.config import load
from edge_agent.config.gateway import SITE
from edge_agent.config.schema import of_section

SITES = sorted((Path(__file__).parents[3] / "firmware_configs" / "sites").glob("*.toml"))


@pytest.mark.parametrize("file", SITES, ids=lambda file: file.stem)
def test_site(file: Path) -> None:
    gateway = load(file)
    assert gateway.district == file.stem
    assert len(gateway.devices) >= 6
    text = file.read_text()
    assert text.startswith("#:schema ../site.schema.json\n")
    jsonschema.validate(tomllib.loads(text), of_section(SITE))


def test_the_three_districts_are_there() -> None:
    assert {file.stem for file in SITES} >= {"north", "centre", "harbour"}
    assert len({load(file).id for file in SITES}) == len(SITES)
