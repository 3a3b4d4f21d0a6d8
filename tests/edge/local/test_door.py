"""The door of a running agent: one request with bytes, one answer; strangers to the protocol are shown out."""

import asyncio
import json
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from edge_agent.local import door, status

NAME = "test.sock"


async def echo(request: Mapping[str, Any], body: bytes) -> Mapping[str, object]:
    if request["do"] == "nonsense":
        raise ValueError("nobody can do that")
    return {"do": request["do"], "length": len(body)}


def say(folder: Path, words: bytes) -> bytes:
    with status.short(folder, NAME) as address, socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as caller:
        caller.settimeout(5)
        caller.connect(address)
        try:
            caller.sendall(words)
            caller.shutdown(socket.SHUT_WR)
            return b"".join(iter(lambda: caller.recv(4096), b""))
        except (ConnectionResetError, BrokenPipeError):
            return b""


async def test_request_and_answer(tmp_path: Path) -> None:
    async with door.serve(tmp_path, NAME, echo, 2_000_000):
        assert (tmp_path / NAME).stat().st_mode & 0o777 == 0o600
        answer = await asyncio.to_thread(door.ask, tmp_path, NAME, {"do": "it"}, b"x" * 2_000_000)
        assert answer == {"do": "it", "length": 2_000_000}
        with pytest.raises(OSError, match="did not understand"):
            await asyncio.to_thread(door.ask, tmp_path, NAME, {"do": "nonsense"})
    assert door.ask(tmp_path, NAME, {"do": "it"}) is None


@pytest.mark.parametrize(
    "words",
    [
        b"",
        b"hello\n",
        b"[1]\n",
        json.dumps({"do": "it"}).encode() + b"\n",
        json.dumps({"do": "it", "bytes": -1}).encode() + b"\n",
        json.dumps({"do": "it", "bytes": 11}).encode() + b"\n" + b"x" * 11,
        json.dumps({"do": "it", "bytes": 5}).encode() + b"\n" + b"x",
        b"x" * 100_000,
    ],
)
async def test_who_speaks_another_language_gets_no_answer(tmp_path: Path, words: bytes) -> None:
    async with door.serve(tmp_path, NAME, echo, 10):
        assert await asyncio.to_thread(say, tmp_path, words) == b""
        assert await asyncio.to_thread(door.ask, tmp_path, NAME, {"do": "it"}) == {"do": "it", "length": 0}


async def test_a_silent_caller_is_not_waited_for_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "REQUEST_S", 0.1)
    async with door.serve(tmp_path, NAME, echo, 10):
        with status.short(tmp_path, NAME) as address:
            reader, writer = await asyncio.open_unix_connection(address)
        async with asyncio.timeout(5):
            assert await reader.read() == b""
        writer.close()
