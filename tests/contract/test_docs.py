"""Docs kept true: every verb, configuration key and plug-in is named in the README or in the help it points to."""

import argparse
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
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


def commands() -> Iterator[tuple[str, str]]:
    """Every call of ours in a shell block of the documents, in a script or in a compose file: where, and its words."""
    call = re.compile(r"(?:^|[ /])((?:edge-agent|aggregator) [a-z-]+[^;|&)#<]*)")
    for path in (ROOT / "README.md", *sorted((ROOT / "deploy").glob("*.md"))):
        for block in re.findall(r"^```sh\n(.*?)^```", path.read_text(), re.MULTILINE | re.DOTALL):
            for line in block.splitlines():
                yield from ((path.name, one.strip()) for one in call.findall(line.partition(" #")[0]))
    for path in [*sorted((ROOT / "deploy").glob("*.sh")), ROOT / "deploy" / "compose.yaml"]:
        for line in path.read_text().replace("\\\n", " ").splitlines():
            if "runuser" in line or "run --rm" in line:
                plain = re.sub(r'"(\$[^"]*)"|\$\{[^}]*\}', lambda found: found[1] or "", line.partition('echo "')[0])
                yield from ((path.name, one.strip()) for one in call.findall(plain))


COMMANDS = sorted({one for one in commands() if one[1].split()[1] in PROGRAMS[one[1].split()[0]]})


@pytest.mark.parametrize(("place", "words"), COMMANDS, ids=[": ".join(one) for one in COMMANDS])
def test_every_command_that_is_written_down_is_understood(place: str, words: str) -> None:
    program, name, *rest = shlex.split(words.partition(" > ")[0])
    parser = argparse.ArgumentParser(exit_on_error=False)
    package = program.replace("-", "_")
    import_module(f"{package}.verbs.{name.replace('-', '_')}").arguments(parser)
    try:
        parser.parse_args(rest)
    except (SystemExit, argparse.ArgumentError) as error:
        pytest.fail(f"{place}: {words}: {error}")


def test_the_documents_have_commands() -> None:
    """Negative control: the words above are found, in documents and scripts, and wrong ones are not understood."""
    assert {place for place, _ in COMMANDS} >= {"README.md", "BACKUP.md", "install-gateway.sh", "install-aggregator.sh"}
    with pytest.raises(pytest.fail.Exception):
        test_every_command_that_is_written_down_is_understood("here", "edge-agent enrol --config f --token t")


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
        "The twin of the city",
        "What if, and what then",
        "A model reaches the gateways",
        "The page and who may see it",
        "A record that nobody can rewrite",
        "NGSI-LD",
        "For local controllers",
        "Figures",
        "Decisions",
    ]
    assert re.findall(r"^## (.+)$", README, re.MULTILINE) == order


def test_files_that_the_readme_names_are_there() -> None:
    for name in re.findall(r"`((?:edge_agent|aggregator|protos|firmware_configs|tests|deploy)/[\w./-]*)`", README):
        assert (ROOT / name).exists(), name
