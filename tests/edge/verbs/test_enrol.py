"""`edge-agent enrol` as an operator uses it: a real process, a real aggregator side."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from edge_agent.sync import Identity
from tests.simulators.sync_peer import Home, serve

NAME = "north-1"


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[Home]:
    (tmp_path / "aggregator").mkdir()
    async with serve(tmp_path / "aggregator") as one:
        yield one


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "gateway.toml"
    file.write_text(f'[gateway]\nid = "{NAME}"\ndistrict = "north"\nstate_dir = "{tmp_path}/state"\n')
    return file


async def enrol(*words: object, given: str = "") -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "edge_agent.cli",
        "enrol",
        *map(str, words),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(given.encode()), 30)
    return process.returncode or 0, out.decode(), err.decode()


async def test_from_token_to_identity(home: Home, config: Path, tmp_path: Path) -> None:
    code, out, err = await enrol(config, "--token", "-", "--json", given=home.token(NAME) + "\n")
    assert code == 0, err
    (result,) = json.loads(out)
    assert (result["gateway"], result["enrolled"], result["sync_address"]) == (NAME, True, home.sync_address)
    assert result["days"] == 30.0
    assert "its key was made here and stays here" in err
    identity = Identity(tmp_path / "state" / "identity")
    assert identity.facts().gateway == NAME
    first = identity.chain()

    code, _, err = await enrol(config, "--token", home.token(NAME))
    assert code == 1
    assert "--again" in err
    assert identity.chain() == first

    (tmp_path / "token").write_text(home.token(NAME))
    code, out, _ = await enrol(config, "--token-file", tmp_path / "token", "--again")
    assert code == 0
    assert "enrolled" in out
    assert identity.chain() != first


@pytest.mark.parametrize(("line", "told"), [("no token at all", "copy the whole line"), ("", "copy the whole line")])
async def test_what_is_no_token_is_told(config: Path, line: str, told: str) -> None:
    code, _, err = await enrol(config, "--token", "-", given=line)
    assert code == 1
    assert told in err.replace("\n", " ")


async def test_a_token_of_another_gateway_is_not_used_up(home: Home, config: Path) -> None:
    line = home.token("south-1")
    code, _, err = await enrol(config, "--token", "-", given=line)
    assert code == 1
    assert "south-1" in err
    assert line not in err
