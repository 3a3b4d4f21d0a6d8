"""Docs kept true: every verb, configuration key and plug-in is named in the README or in the help it points to."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import aggregator.cli
import edge_agent.cli
from edge_agent.config.gateway import SITE
from edge_agent.config.keys import Section
from edge_agent.sources import SOURCES
from tests.bench import FIGURES

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
PROGRAMS = {"edge-agent": edge_agent.cli.VERBS, "aggregator": aggregator.cli.VERBS}
VERBS = [(program, verb) for program, verbs in PROGRAMS.items() for verb in verbs]


def verb(*words: str) -> str:
    done = subprocess.run(
        [Path(sys.executable).parent / words[0], *words[1:]], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def help_of(*words: str) -> str:
    return verb(*words, "--help")


@pytest.mark.parametrize(("program", "name"), VERBS, ids=[" ".join(one) for one in VERBS])
def test_every_verb_is_in_the_readme_and_explains_itself(program: str, name: str) -> None:
    assert f"`{name}`" in README or f"{program} {name}" in README, f"the README does not name {program} {name}"
    text = help_of(program, name)
    described = text.split("\n\n", 2)[1]
    assert len(described) > 20, f"{program} {name} --help does not say what it does"


@pytest.mark.parametrize("program", PROGRAMS)
def test_the_help_lists_every_verb(program: str) -> None:
    text = help_of(program)
    for name, line in PROGRAMS[program].items():
        assert name in text
        assert line.split()[0] in text


def keys(section: Section) -> list[str]:
    """Those of tables within it too."""
    below = [name for key in section.keys if key.section and key.kind == "table" for name in keys(key.section)]
    return [key.name for key in section.keys if key.section is None] + below


def test_every_key_of_a_gateways_file_is_explained_by_check() -> None:
    assert "--keys" in help_of("edge-agent", "check")
    text = verb("edge-agent", "check", "--keys")
    for part in SITE.keys:
        assert part.section is not None
        assert part.name in text, f"[{part.name}]"
        for key in keys(part.section):
            assert key in text, f"[{part.name}] {key} is not explained by edge-agent check --keys"


def test_every_source_and_figure_is_explained() -> None:
    for source in SOURCES:
        assert source.lower() in README.lower()
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench", "--list"], capture_output=True, text=True, check=False, cwd=ROOT
    )
    for figure, line in FIGURES.items():
        assert figure in done.stdout
        assert line in done.stdout


def test_the_readme_has_its_parts_in_order() -> None:
    order = [
        "What you will see",
        "Flow",
        "Add a device",
        "Close a loop",
        "Run for real",
        "For local controllers",
        "Figures",
        "Decisions",
    ]
    assert re.findall(r"^## (.+)$", README, re.MULTILINE) == order


def test_files_that_the_readme_names_are_there() -> None:
    for name in re.findall(r"`((?:edge_agent|aggregator|protos|firmware_configs|tests|deploy)/[\w./-]*)`", README):
        assert (ROOT / name).exists(), name
