"""The JSON schemas and the loader say the same: both come of one table, and each refuses what the other refuses."""

import copy
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from edge_agent.config import schema
from edge_agent.config.gateway import OPTIONS, SITE
from edge_agent.config.keys import Key, Place, Section, read
from edge_agent.config.profiles import PROFILE
from protos.lines import Lines

FOLDER = Path(__file__).parents[3] / "firmware_configs"
WRONG = {  # kind → a value of another kind
    "text": 1,
    "integer": "1",
    "number": "1",
    "boolean": 1,
    "texts": ["a", 1],
    "numbers": [1, "a"],
    "table": 1,
    "tables": [1],
    "names": {"a": "b"},
    "options": {"a": [1]},
    "roles": {"value": 1},
    "settings": {"gain": {"a": 1}},
}


def good(section: Section) -> dict[str, Any]:
    """A document that says every key of the section, and of those below, as they should be."""
    return {key.name: good_value(key) for key in section.keys if not (section is PROFILE and key.name == "mqtt")}


def good_value(key: Key) -> Any:
    if key.section and key.kind != "options":
        inner = good(key.section)
        return [inner] if key.kind == "tables" else inner
    plain: dict[str, Any] = {
        "integer": int(max(key.low, 1) if key.low > 1 else min(key.high, 1)),
        "number": float(max(key.low, 1) if key.low > 1 else min(key.high, 1)),
        "boolean": True,
        "texts": ["p_total"],
        "numbers": [1, 2.5],
        "names": {"0": "off"},
        "options": {"parity": "N"},
        "roles": {"value": "tank/level"},
        "settings": {"gain": 0.5, "stages": ["a", "b"], "on": True},
        "text": "a1:1" if "[0-9]{1,5}" in key.pattern else "a/b" if key.name in ("point", "readback") else "abc",
    }
    return key.choices[-1] if key.choices else plain[key.kind]


def places(section: Section, path: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], Key]]:
    for key in section.keys:
        if section is PROFILE and key.name == "mqtt":
            continue
        yield (*path, key.name), key
        if key.section and key.kind != "options":
            below = (*path, key.name, 0) if key.kind == "tables" else (*path, key.name)
            yield from places(key.section, below)


def faulty(key: Key) -> Iterator[Any]:
    yield WRONG[key.kind]
    if key.choices:
        yield "no such word" if key.kind == "text" else 9999
    if key.pattern:
        yield "§"
    if key.kind in ("integer", "number"):
        yield from (bound for bound in (key.low - 1, key.high + 1) if abs(bound) < 1e15)


def with_change(document: dict[str, Any], path: tuple[str | int, ...], value: Any) -> dict[str, Any]:
    changed = copy.deepcopy(document)
    at: Any = changed
    for step in path[:-1]:
        at = at[step]
    if value is None:
        del at[path[-1]]
    else:
        at[path[-1]] = value
    return changed


def loader_faults(section: Section, document: dict[str, Any]) -> list[str]:
    place = Place(Path("x.toml"), Lines(""))
    read(section, document, place)
    return [str(fault) for fault in place.faults.found]


CASES = [pytest.param(section, name, id=name) for name, section in schema.FILES.items()]


@pytest.mark.parametrize(("section", "name"), CASES)
def test_schema_is_fresh(section: Section, name: str) -> None:
    """`python -m edge_agent.config.schema` writes them anew."""
    assert (FOLDER / name).read_text() == schema.text(name)


@pytest.mark.parametrize(("section", "name"), CASES)
def test_both_take_what_is_right(section: Section, name: str) -> None:
    validator = jsonschema.Draft202012Validator(schema.of_section(section))
    document = good(section)
    assert not loader_faults(section, document)
    assert not [error.message for error in validator.iter_errors(document)]


@pytest.mark.parametrize(("section", "name"), CASES)
def test_both_refuse_what_is_wrong(section: Section, name: str) -> None:
    validator = jsonschema.Draft202012Validator(schema.of_section(section))
    document = good(section)
    for path, key in places(section):
        wrongs = list(faulty(key))
        if key.required:
            wrongs.append(None)
        for value in wrongs:
            changed = with_change(document, path, value)
            assert loader_faults(section, changed), f"the loader takes {path} = {value!r}"
            assert not validator.is_valid(changed), f"the schema takes {path} = {value!r}"
        stranger = with_change(document, (*path[:-1], "no_such_key"), 1)
        assert loader_faults(section, stranger)
        assert not validator.is_valid(stranger)


@pytest.mark.parametrize(
    "options", [{"password": "geheim"}, {"leases": 5}, {"parity": "X"}, {"lease_s": [1]}, {"lease_s": "geheim"}]
)
def test_options_refused_by_both(options: dict[str, Any]) -> None:
    validator = jsonschema.Draft202012Validator(schema.of_section(SITE))
    document = with_change(good(SITE), ("device", 0, "options"), options)
    faults = loader_faults(SITE, document)
    assert faults
    assert "password" not in options or "geheim" not in "".join(faults)
    assert not validator.is_valid(document)


def test_options_taken_by_both() -> None:
    validator = jsonschema.Draft202012Validator(schema.of_section(SITE))
    document = with_change(good(SITE), ("device", 0, "options"), {"lease_s": 2.5, "partial": True, "x_own": "y"})
    assert not loader_faults(SITE, document)
    assert validator.is_valid(document)


def test_the_comparison_can_fail() -> None:
    """Negative control: a schema without bounds takes what the loader refuses."""
    loose = copy.deepcopy(schema.of_section(SITE))
    del loose["properties"]["buffer"]["properties"]["max_mb"]["minimum"]
    document = with_change(good(SITE), ("buffer", "max_mb"), 1)
    assert loader_faults(SITE, document)
    assert jsonschema.Draft202012Validator(loose).is_valid(document)


def test_every_option_that_a_source_reads_can_be_said() -> None:
    """No source reads an option that the table of options does not have."""
    files = (FOLDER.parent / "edge_agent" / "sources").rglob("*.py")
    found = {name for file in files for name in re.findall(r'options(?:\.get\(|\[)"(\w+)"', file.read_text())}
    assert len(found) >= 8
    assert found <= {key.name for key in OPTIONS.keys}
