"""Whatever a file holds: a configuration, or faults with their lines; never another error, never without end."""

import random
import tomllib
from collections.abc import Sequence
from pathlib import Path

import pytest

from edge_agent.config import ConfigError, Fault, load
from edge_agent.config.faults import Faults
from edge_agent.config.library import SHIPPED, read_profile
from protos.lines import Lines

SITES = SHIPPED.parent / "sites"
PIECES = [b"[", b"]", b"{", b"}", b'"', b"'", b'"""', b"=", b".", b",", b"#", b"\n", b"\\", b"[[x]]\n", b" ", b"\xff"]
PIECES += [
    b"-1",
    b"1e400",
    b"nan",
    b"true",
    b"0x",
    b"99999999999999999999",
    b"[]",
    b"{}",
    b'""',
    b"1979-05-27 07:32:00",
]
ROUNDS = 120


def mutated(data: bytes, chance: random.Random) -> bytes:
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(data))
        end = min(len(data), at + chance.choice((0, 0, 1, 3, 40)))
        data = data[:at] + chance.choice(PIECES) + data[end:]
    return data


def faults_of(file: Path) -> Sequence[Fault]:
    try:
        load(file)
    except ConfigError as error:
        return error.faults
    return ()


@pytest.mark.parametrize("seed", range(3))
def test_sites(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    texts = [file.read_bytes() for file in sorted(SITES.glob("*.toml"))]
    file = tmp_path / "site.toml"
    for _ in range(ROUNDS):
        file.write_bytes(mutated(chance.choice(texts), chance))
        lines = file.read_bytes().count(b"\n") + 1
        assert all(0 <= fault.line <= lines for fault in faults_of(file) if fault.file == file)


@pytest.mark.parametrize("seed", range(3))
def test_profiles(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    texts = [file.read_bytes() for file in sorted(SHIPPED.glob("*.toml"))]
    file = tmp_path / "some.toml"
    for _ in range(ROUNDS):
        file.write_bytes(mutated(chance.choice(texts), chance))
        faults = Faults()
        profile = read_profile(file, faults)
        assert (profile is None) == bool(faults.found)


def test_lines_of_any_accepted_text() -> None:
    """The line index follows whatever tomllib accepts, to its end."""
    chance = random.Random(7)
    texts = [file.read_bytes() for file in sorted([*SITES.glob("*.toml"), *SHIPPED.glob("*.toml")])]
    accepted = 0
    for _ in range(ROUNDS * 5):
        try:
            text = mutated(chance.choice(texts), chance).decode()
            table = tomllib.loads(text)
        except (UnicodeDecodeError, tomllib.TOMLDecodeError):
            continue
        accepted += 1
        index = Lines(text)
        assert index.at == len(text)
        assert set(table) <= {path[0] for path in index.found}
    assert accepted > 50
