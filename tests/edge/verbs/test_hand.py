"""`edge-agent hand` as a person types it, against the real door of a hand."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from edge_agent.cli import main
from edge_agent.config import load
from edge_agent.control.hand import Hand
from edge_agent.image import Image
from edge_agent.local import door, hands, status, telling
from protos.clock import NS, SystemClock
from tests.edge.local.scene import Newest, snapshot
from tests.edge.verbs.acting import acting_file


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return acting_file(tmp_path, "speed")


@pytest.fixture
async def hand(file: Path) -> AsyncIterator[Hand]:
    config = load(file)
    config.state_dir.mkdir()
    one, clock = Hand(config.cell.outputs), SystemClock()
    newest = Newest(snapshot(clock.monotonic_ns()))

    def report() -> dict[str, object]:
        assert newest.snapshot is not None
        return {"healthy": True, "control": telling.report(newest.snapshot, clock.monotonic_ns())}

    async def answer(request: Mapping[str, Any], body: bytes) -> Mapping[str, object]:
        return hands.answer(one, request, clock.monotonic_ns())

    async with (
        door.serve(config.state_dir, hands.SOCKET, answer, 0),
        status.serve(config.state_dir, report),
    ):
        yield one


async def verb(*words: object) -> int:
    return await asyncio.to_thread(main, ["hand", *(str(word) for word in words)])


def wishes(hand: Hand) -> list[tuple[float, float, str]]:
    now_ns = SystemClock().monotonic_ns()
    return [(one.low, (one.not_after_ns - now_ns) / NS, one.why) for one in hand.decide(Image(()).freeze(now_ns), ())]


async def test_take_over_and_give_back(
    hand: Hand, file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SUDO_USER", "kim")
    assert await verb("speed", "40", "--for", "30m", "--why", "pump repair", "-c", file, "--json") == 0
    assert json.loads(capsys.readouterr().out) == [{"output": "speed", "value": 40, "seconds": 1800, "who": "kim"}]
    ((value, left_s, why),) = wishes(hand)
    assert (value, why) == (40, "kim: pump repair")
    assert 1790 < left_s <= 1800
    assert await verb("speed", "--release", "-c", file) == 0
    assert wishes(hand) == []


async def test_without_an_output_it_lists_who_holds_what(
    hand: Hand, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await verb("-c", file, "--json") == 0
    (held,) = json.loads(capsys.readouterr().out)
    assert (held["output"], held["who"], held["why"]) == ("pump", "kim", "repair")
    assert await verb("-c", file) == 0
    assert "repair" in capsys.readouterr().out


async def test_the_agents_refusal_is_told(hand: Hand, file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert await verb("speed", "51", "--for", "1m", "-c", file) == 1
    assert "speed: 51 is not allowed: give 0 to 50" in capsys.readouterr().err
    assert await verb("sped", "1", "--for", "1m", "-c", file) == 1
    assert "there are speed" in capsys.readouterr().err
    assert wishes(hand) == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("speed", "1"), "say for how long"),
        (("speed",), "say which value"),
        (("speed", "1", "--release"), "--release takes neither"),
    ],
)
def test_what_does_not_go_together_is_told(
    file: Path, words: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["hand", *words, "-c", str(file)]) == 1
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("text", ["30", "0s", "-1m", "1d", "m"])
def test_a_time_is_written_with_its_unit(file: Path, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["hand", "speed", "1", f"--for={text}", "-c", str(file)])
    assert "write 90s, 30m or 1.5h" in capsys.readouterr().err


def test_no_agent_is_exit_code_4(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["hand", "speed", "1", "--for", "1m", "-c", str(file)]) == 4
    assert "gw-1 is not running" in capsys.readouterr().err
    assert main(["hand", "-c", str(file)]) == 4
