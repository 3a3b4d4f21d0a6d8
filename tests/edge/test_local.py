"""The status socket, the metrics page and the service manager's socket, over real sockets."""

import asyncio
import socket
from pathlib import Path

import pytest

from edge_agent import systemd
from edge_agent.local import metrics, status


async def test_status_answers_even_below_a_very_long_path(tmp_path: Path) -> None:
    deep = tmp_path / ("long" * 30)
    deep.mkdir()
    assert status.ask(deep) is None
    async with status.serve(deep, lambda: {"healthy": True}):
        assert await asyncio.to_thread(status.ask, deep) == {"healthy": True}
        assert (deep / status.SOCKET).stat().st_mode & 0o077 == 0
    assert status.ask(deep) is None


async def test_metrics_page() -> None:
    async with metrics.serve("127.0.0.1", 0, lambda: "citytwin_up 1\n") as port:
        for path, code, body in (("/metrics", b"200", b"citytwin_up 1\n"), ("/", b"404", b"see /metrics\n")):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            head, _, got = (await reader.read()).partition(b"\r\n\r\n")
            assert (head.split()[1], got) == (code, body)
            writer.close()


def test_metrics_file_is_replaced_at_once(tmp_path: Path) -> None:
    metrics.write(tmp_path / "citytwin.prom", "a 1\n")
    assert [p.name for p in tmp_path.iterdir()] == ["citytwin.prom"]


def test_metrics_that_cannot_be_written_starve_nobody(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    metrics.write(tmp_path / "away" / "citytwin.prom", "a 1\n")
    assert "away/citytwin.prom cannot be written" in caplog.text


def test_notify_reaches_the_service_manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    assert not systemd.notify("READY=1")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        monkeypatch.setenv("WATCHDOG_USEC", "30000000")
        monkeypatch.delenv("WATCHDOG_PID", raising=False)
        assert systemd.notify("READY=1")
        assert manager.recv(100) == b"READY=1"
        assert systemd.watchdog_s() == 15.0
