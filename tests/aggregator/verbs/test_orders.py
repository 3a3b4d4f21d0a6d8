"""The verbs of orders, without a server: what is asked, what is told, and words that help when it is wrong."""

import json
from pathlib import Path

import pytest

from aggregator.cli import main
from aggregator.stores.catalogue import Catalogue, Point

GATEWAY = "gw-north"


@pytest.fixture
def config(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """An aggregator with one gateway that has one point to set."""
    assert main(["init", str(tmp_path / "a")]) == 0
    catalogue = Catalogue(tmp_path / "a" / "catalogue.sqlite")
    with catalogue.act(1, "test", "enrol", GATEWAY):
        catalogue.put_gateway(GATEWAY, "enrolled", 1)
    catalogue.put_points(
        GATEWAY, "north", [Point(GATEWAY, "pump", "valve", "%", "services", "percentage", "", True, False, True)], b""
    )
    catalogue.close()
    capsys.readouterr()
    return str(tmp_path / "a" / "aggregator.toml")


def test_an_order_is_written_down_and_shown(
    config: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)  # as on a pipe, where tables are not folded
    assert main(["order", GATEWAY, "pump/valve", "40", "--for", "10m", "--why", "peak", "-c", config]) == 0
    told = capsys.readouterr().out
    assert f"{GATEWAY} pump/valve = 40 until" in told
    assert "no server runs" in told
    assert main(["orders", "--json", "-c", config]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["value"], row["fate"], row["why"], row["emergency"]) == (40.0, "waiting", "peak", False)
    assert main(["orders", "-c", config]) == 0
    shown = capsys.readouterr().out
    assert "pump/valve" in shown
    assert "waiting" in shown


def test_all_stop_revokes_what_waits(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["order", GATEWAY, "pump/valve", "40", "--for", "10m", "-c", config]) == 0
    assert main(["all-stop", "--why", "drill", "-c", config]) == 0
    assert f"all-stop for 1 gateways: {GATEWAY}" in capsys.readouterr().out
    assert main(["orders", GATEWAY, "--json", "-c", config]) == 0
    assert [row["fate"] for row in json.loads(capsys.readouterr().out)] == ["waiting", "revoked"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["order", "gw-none", "pump/valve", "1", "--for", "1m"], "no such gateway"),
        (["order", GATEWAY, "pump/speed", "1", "--for", "1m"], "what can: pump/valve"),
        (["order", GATEWAY, "pump/valve", "1", "--for", "soon"], "give a number and s, m or h"),
        (["order", GATEWAY, "pump/valve", "1", "--for", "25h"], "at most 24 h"),
        (["order", GATEWAY, "pump/valve", "nan", "--for", "1m"], "no value that can be set"),
        (["all-stop", "gw-none"], "no enrolled gateway"),
        (["orders", "--limit", "0"], "--limit: 1 to"),
    ],
)
def test_words_that_help(config: str, capsys: pytest.CaptureFixture[str], words: list[str], told: str) -> None:
    assert main([*words, "-c", config]) == 1
    assert told in " ".join(capsys.readouterr().err.split())
