"""`edge-agent status`: what it shows of outputs and twins, once, for programs, and live in a real terminal."""

import asyncio
import fcntl
import json
import os
import pty
import re
import signal
import socket
import struct
import sys
import termios
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from edge_agent.cli import main
from edge_agent.config import load
from edge_agent.local import status, telling
from protos.clock import NS, SystemClock
from tests.edge.local.scene import snapshot
from tests.edge.verbs.acting import acting_file

READ_S = 15.0
WIDTH = 80


@pytest.fixture
async def file(tmp_path: Path) -> AsyncIterator[Path]:
    """The file of a gateway whose agent answers; each question is a tick later."""
    path, clock, asked = acting_file(tmp_path, "speed"), SystemClock(), 0
    config = load(path)
    config.state_dir.mkdir()

    def report() -> dict[str, object]:
        nonlocal asked
        asked += 1
        tick = snapshot(clock.monotonic_ns() - NS // 10, 1000 + asked)
        applied = (replace(tick.applied[0], why="told 42.5, shows 41.9 after 2.1 s"), *tick.applied[1:])
        tick = replace(tick, applied=applied, disabled={"mpc": "left its envelope"})
        return {
            "gateway": "gw-1",
            "running": True,
            "healthy": True,
            "late": [],
            "epoch": 1,
            "sequence": 7,
            "link": {"connected": False, "last_error": "", "address": "", "clock_source": "ntp"},
            "tasks": {"intake": {"age_s": 0.1, "done": 3, "restarts": 0, "error": ""}},
            "gauges": {},
            "control": telling.report(tick, clock.monotonic_ns()),
        }

    async with status.serve(config.state_dir, report):
        yield path


async def printed(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    assert await asyncio.to_thread(main, ["status", *(str(word) for word in words)]) == 0
    return capsys.readouterr().out


async def test_who_has_the_say_and_why_in_80_columns(
    file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(WIDTH))
    text = await printed(capsys, file)
    assert max(len(line) for line in text.splitlines()) <= WIDTH
    words = " ".join(re.sub(r"[│┃]", " ", text).split())
    wanted = """\
valve 42.5 % 42 % local 4.9 s level: level 1.9 m,
! told
pump 7 m3/h 6 m3/h hand
limited
lamp - - nobody - not touched yet
tank tank 3 current 1.10 no
road 1 probation 0.90 3.0 s
mpc left its envelope
control: running; 1001 ticks of 100 ms, 4 late, 1 missed"""
    for said in wanted.splitlines():
        assert said in words, words


async def test_programs_get_all_of_it(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    control = json.loads(await printed(capsys, file, "--json"))["control"]
    valve, pump, lamp = control["outputs"]
    assert (valve["value"], valve["authority"], valve["model"], valve["outcome"]) == (
        42.5,
        "local",
        "tank 3",
        "applied",
    )
    assert (pump["overruled"], pump["limited"]) == (["level"], "slew")
    assert (lamp["value"], lamp["valid_ms"], lamp["not_after"]) == (None, 0, None)
    assert [one["state"] for one in control["estimates"]] == ["level", "leak", "queue"]
    assert control["hands"][0]["who"] == "kim"
    assert 50 < pump["hand_s"] < 60
    assert valve["hand_s"] is None
    assert control["central"]["connected"] is True


async def test_live_in_a_terminal_until_ctrl_c(file: Path) -> None:
    near, far = pty.openpty()
    fcntl.ioctl(far, termios.TIOCSWINSZ, struct.pack("HHHH", 30, WIDTH, 0, 0))
    environment = {**os.environ, "TERM": "xterm-256color"}
    environment.pop("COLUMNS", None)
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "edge_agent.cli", "status", "--live", file,
        stdin=far, stdout=far, stderr=far, env=environment, start_new_session=True,
    )  # fmt: skip
    os.close(far)
    shown, ticks = "", set[str]()
    async with asyncio.timeout(READ_S):
        while len(ticks) < 3:
            shown += (await asyncio.to_thread(os.read, near, 65_536)).decode(errors="replace")
            ticks = set(re.findall(r"running; (\d+) ticks", shown))
        child.send_signal(signal.SIGINT)
        assert await child.wait() == 130
    assert "\x1b[?1049h" in shown, "on a screen of its own"
    shown += (await asyncio.to_thread(os.read, near, 65_536)).decode(errors="replace")
    os.close(near)
    assert "\x1b[?1049l" in shown, "which it gives back"


@asynccontextmanager
async def live(file: Path, *, stdin: int, stdout: int) -> AsyncIterator[asyncio.subprocess.Process]:
    """`status --live --json` in a session of its own, so that no terminal of the tests' speaks to it."""
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "edge_agent.cli", "status", "--live", "--json", file,
        stdin=stdin, stdout=stdout, stderr=asyncio.subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    try:
        yield child
        assert child.stderr is not None
        async with asyncio.timeout(READ_S):
            assert (await child.stderr.read(), await child.wait()) == (b"", 0)
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()


async def test_live_ends_when_nobody_reads_it(file: Path) -> None:
    async with live(file, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE) as child:
        assert child.stdout is not None
        assert await child.stdout.readline()
        child.stdout._transport.close()  # type: ignore[attr-defined]


async def test_live_ends_with_its_standard_input(file: Path) -> None:
    async with live(file, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdin.write(b"what is typed means nothing\n")
        for _ in range(3):
            assert await child.stdout.readline()
        child.stdin.close()
        await child.stdout.read()


@pytest.mark.parametrize("told", ["SIGHUP", "closed"])
async def test_live_ends_with_its_terminal(file: Path, told: str) -> None:
    near, far = pty.openpty()
    async with live(file, stdin=far, stdout=far) as child:
        os.close(far)
        assert await asyncio.to_thread(os.read, near, 65_536)
        if told == "SIGHUP":
            child.send_signal(signal.SIGHUP)
            await child.wait()
        os.close(near)


async def test_an_agent_that_hangs_is_not_well(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(status, "ANSWER_S", 0.1)
    path = acting_file(tmp_path)
    config = load(path)
    config.state_dir.mkdir()
    with socket.socket(socket.AF_UNIX) as listener, status.short(config.state_dir) as address:
        listener.bind(address)
        listener.listen()
        assert await asyncio.to_thread(main, ["status", str(path)]) == 3
    assert "gw-1 does not say how it is: timed out" in capsys.readouterr().err


async def test_a_gateway_that_decides_nothing_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = acting_file(tmp_path)
    config = load(path)
    config.state_dir.mkdir()
    link = {"connected": False, "last_error": "", "address": "", "clock_source": "ntp"}
    report = {"gateway": "gw-1", "healthy": True, "late": [], "epoch": 1, "sequence": 7, "link": link, "tasks": {}, "gauges": {}}  # fmt: skip  # noqa: E501
    async with status.serve(config.state_dir, lambda: report):
        assert "control: none" in await printed(capsys, path)


def test_a_gateway_that_does_not_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", str(acting_file(tmp_path))]) == 4
    assert "gw-1 is not running" in capsys.readouterr().out
