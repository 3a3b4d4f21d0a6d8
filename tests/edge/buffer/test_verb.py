"""`edge-agent buffer` on the directory of a running buffer."""

import csv
import json
from collections.abc import AsyncIterator
from pathlib import Path

import apsw
import pytest

from edge_agent.cli import main
from protos.clock import NS
from protos.span import Span
from tests.edge.buffer.gateway import GATEWAY, POINTS, Gateway

GATEWAY_FILE = """
[gateway]
id = "{id}"
district = "north"
state_dir = "{state}"
"""


@pytest.fixture
async def config(tmp_path: Path) -> AsyncIterator[Path]:
    """A gateway's file; its buffer holds 5 batches of 2 frames, the first two acked, and is open."""
    state = tmp_path / "state"
    file = tmp_path / "gateway.toml"
    file.write_text(GATEWAY_FILE.format(id=GATEWAY, state=state))
    gateway = Gateway(state)
    await gateway.open()
    for serial in range(1, 6):
        await gateway.clock.advance(3600 * NS)
        if serial == 5:
            await gateway.buffer.mark([Span(1, 1, 2)], [Span(1, 1, 1)])
        await gateway.append(serial)
    yield file
    await gateway.buffer.close()


def said(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> str:
    assert main(["buffer", *words]) == code
    return capsys.readouterr().out


async def test_show_and_list(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shown = json.loads(said(capsys, "show", "-c", str(config), "--json"))
    assert (shown["kept_batches"], shown["backlog_batches"], shown["newest_sequence"]) == (5, 3, 5)
    rows = json.loads(said(capsys, "list", "-c", str(config), "--json"))
    assert [row["state"] for row in rows] == ["settled", "acked", "waiting", "waiting", "waiting"]
    assert rows[0]["written"] == "2023-11-14T23:13:20Z"
    assert "north" not in said(capsys, "list", "-c", str(config))


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
async def test_export(config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], suffix: str) -> None:
    file = tmp_path / f"out{suffix}"
    assert f"{5 * 2 * POINTS} readings" in said(capsys, "export", str(file), "-c", str(config))
    rows = read(file)
    assert len(rows) == 5 * 2 * POINTS
    first = [row for row in rows if row["point"] == "p0"]
    assert [float(row["value"]) for row in first] == [1, 1, 2, 2, 3, 3, 4, 4, 5, 5]
    assert {row["quality"] for row in rows} == {"GOOD"}
    assert str(rows[0]["receive_time"]).startswith("2023-11-14")
    said(capsys, "export", str(file), "-c", str(config), code=1)
    said(capsys, "export", str(file), "meter/p1", "-c", str(config), "--force")
    assert len(read(file)) == 10


def read(file: Path) -> list[dict[str, str]]:
    if file.suffix == ".csv":
        return list(csv.DictReader(file.read_text().splitlines()))
    if file.suffix == ".jsonl":
        return [json.loads(line) for line in file.read_text().splitlines()]
    import pyarrow.parquet as parquet

    table = parquet.read_table(file)
    columns = {name: table[name].cast("string").to_pylist() for name in table.column_names}
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


async def test_history_of_a_point(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = json.loads(said(capsys, "history", "meter/p0", "-c", str(config), "--json"))
    assert [row["value"] for row in rows] == [1, 1, 2, 2, 3, 3, 4, 4, 5, 5]
    assert json.loads(said(capsys, "history", "meter/p0", "--days", "1", "-c", str(config), "--json")) == []


async def test_verify_finds_a_changed_blob(config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "5 batches, all whole" in said(capsys, "verify", "-c", str(config))
    database = apsw.Connection(str(tmp_path / "state" / "buffer.sqlite"))
    database.execute("UPDATE batch SET blob = zeroblob(length(blob)) WHERE number & 1023 = 3")
    database.close()
    found = json.loads(said(capsys, "verify", "-c", str(config), "--json", code=1))
    assert [(one["epoch"], one["sequence"]) for one in found["faults"]] == [(1, 3)]


def test_without_a_buffer_it_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "gateway.toml"
    file.write_text(GATEWAY_FILE.format(id=GATEWAY, state=tmp_path / "nowhere"))
    assert main(["buffer", "show", "-c", str(file)]) == 1
    assert "has this gateway ever run" in capsys.readouterr().err
