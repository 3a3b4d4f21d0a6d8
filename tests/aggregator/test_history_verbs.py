"""The verbs that ask for history, on a state that a server left behind: log, history and catalogue as files."""

import asyncio
import contextlib
import csv
import json
import re
from pathlib import Path

import apsw
import duckdb
import pytest

from aggregator import config
from aggregator.cli import main
from aggregator.projections.history import HistoryProjection
from aggregator.stores import Arrival
from aggregator.stores.catalogue import Catalogue, Point
from aggregator.stores.history.segments import SegmentHistory
from aggregator.stores.log import SqliteLog
from protos.batch import Text, encode
from tests.aggregator.stores.batches import NOON, NS, batch, block

BATCHES = 20
SECONDS = 10  # of each


async def fill(settings: config.Config, first: int, count: int, *, into_history: bool) -> None:
    log = SqliteLog(settings.log)
    for n in range(first, first + count):
        times = [NOON + (n * SECONDS + i) * NS for i in range(SECONDS)]
        texts = [Text("meter", "state", times[0], times[0], 0, f"state {n}")]
        one = batch("gw", 1, n, [block("meter", ["power", "volts"], times, n / 2, delay_ns=1)], texts)
        await log.append([Arrival(one.key, times[-1], 0, 0, 2 * SECONDS + 1, encode(one))])
    if into_history:
        history = SegmentHistory(settings.history)
        projection = HistoryProjection(log, history)
        await projection.catch_up()
        history.close()
    await log.close()


@pytest.fixture
def settings(tmp_path: Path) -> config.Config:
    """Three quarters in segments, the rest still in the log only."""
    file = tmp_path / "aggregator.toml"
    file.write_text(f'[aggregator]\nstate_dir = "{tmp_path}"\n')
    found = config.load(file)
    catalogue = Catalogue(found.catalogue)
    catalogue.put_gateway("gw", "enrolled", 0)
    points = [
        Point("gw", "meter", name, "W", "energy", "active_power", "", False, name == "state", True)
        for name in ("power", "volts", "state")
    ]
    catalogue.put_points("gw", "north", points, b"")
    catalogue.close()
    asyncio.run(fill(found, 1, BATCHES * 3 // 4, into_history=True))
    asyncio.run(fill(found, BATCHES * 3 // 4 + 1, BATCHES // 4, into_history=False))
    return found


def run(settings: config.Config, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = main([*words, "--config", str(settings.path)])
    out, err = capsys.readouterr()
    return code, out, err


def test_points_shows_the_newest_of_all(settings: config.Config, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(settings, capsys, "points", "--json", "--district", "north")
    rows = {row["point"]: row for row in json.loads(out)}
    assert code == 0
    assert rows["gw/meter/power"]["value"] == BATCHES / 2
    assert rows["gw/meter/state"]["value"] == f"state {BATCHES}"
    assert rows["gw/meter/power"]["domain"] == "energy"
    code, _, err = run(settings, capsys, "points", "--district", "south")
    assert code == 1
    assert "there are: north" in err


def test_query_reads_segments_and_the_log_over_them(
    settings: config.Config, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("query", "gw/meter/power", "--from", "2026-01-01T12:00", "--until", "2026-01-01T13:00", "--keys", "--json")
    code, out, _ = run(settings, capsys, *words)
    rows = json.loads(out)
    assert code == 0
    assert [row["sequence"] for row in rows] == [n for n in range(1, BATCHES + 1) for _ in range(SECONDS)]
    assert [row["value"] for row in rows] == [n / 2 for n in range(1, BATCHES + 1) for _ in range(SECONDS)]
    code, out, _ = run(settings, capsys, *words, "--as-of", "2026-01-01T12:01:00")
    assert len(json.loads(out)) == 5 * SECONDS
    for pixels in ("4", "1"):
        code, out, _ = run(settings, capsys, *words, "--pixels", pixels)
        assert sum(row["readings"] for row in json.loads(out)) == BATCHES * SECONDS
        assert json.loads(out)[-1]["last"] == BATCHES / 2


def test_all_of_history_in_a_few_pixels(settings: config.Config, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(settings, capsys, "query", "gw/meter/power", "--from", "ever", "--pixels", "10", "--json")
    assert code == 0
    assert [row["readings"] for row in json.loads(out)] == [BATCHES * SECONDS]


def test_query_says_what_is_wrong_with_a_question(settings: config.Config, capsys: pytest.CaptureFixture[str]) -> None:
    for words, why in (
        (("--from", "yesterday"), "--from yesterday: no time"),
        (("--from", "1h", "--until", "2h"), "is not before"),
        (("nobody",), "no point is so named"),
    ):
        code, _, err = run(settings, capsys, "query", *words)
        assert code == 1
        assert why in " ".join(err.split())


@pytest.mark.parametrize("kind", ["parquet", "csv", "jsonl"])
def test_export_has_every_reading_once(
    settings: config.Config, capsys: pytest.CaptureFixture[str], tmp_path: Path, kind: str
) -> None:
    file = tmp_path / f"out.{kind}"
    code, _, err = run(settings, capsys, "export", str(file), "--from", "ever")
    assert (code, err) == (0, "")
    rows = exported(file)
    numbers = [row for row in rows if row["text"] in (None, "")]
    assert len(numbers) == BATCHES * SECONDS * 2
    assert len({(row["point"], str(row["source_time"])) for row in numbers}) == len(numbers)
    assert {int(str(row["sequence"])) for row in rows} == set(range(1, BATCHES + 1))
    assert {row["text"] for row in rows if row not in numbers} == {f"state {n}" for n in range(1, BATCHES + 1)}
    assert {(row["quality"], row["reason"], row["gateway"]) for row in rows} == {("GOOD", "NONE", "gw")}
    code, _, err = run(settings, capsys, "export", str(file))
    assert code == 1
    assert "--force" in err


def exported(file: Path) -> list[dict[str, object]]:
    if file.suffix == ".csv":
        with file.open() as lines:
            return list(csv.DictReader(lines))
    if file.suffix == ".jsonl":
        return [json.loads(line) for line in file.read_text().splitlines()]
    with duckdb.connect() as connection:
        names = [name for name, *_ in connection.execute(f"DESCRIBE FROM '{file}'").fetchall()]
        rows = connection.execute(f"FROM '{file}'").fetchall()
    return [dict(zip(names, row, strict=True)) for row in rows]


def test_an_export_opens_in_duckdb_as_the_readme_says(
    settings: config.Config,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    run(settings, capsys, "export", "city.parquet", "--from", "ever", "--domain", "energy")
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    question = re.search(r'duckdb\.sql\(\\"(SELECT .*?)\\"\)', readme)
    assert question is not None
    with duckdb.connect() as connection:
        rows = sorted(connection.execute(question[1]).fetchall())
    mean = sum(range(1, BATCHES + 1)) / BATCHES / 2
    assert rows == [("meter", "power", mean), ("meter", "state", None), ("meter", "volts", mean)]


def damage(path: Path, table: str) -> None:
    """Flip a bit in the middle of the first blob of `table`."""
    with contextlib.closing(apsw.Connection(str(path))) as connection:
        number, blob = connection.execute(f"SELECT rowid, blob FROM {table} ORDER BY rowid LIMIT 1").get
        middle = len(blob) // 2
        broken = blob[:middle] + bytes([blob[middle] ^ 0x10]) + blob[middle + 1 :]
        connection.execute(f"UPDATE {table} SET blob = ? WHERE rowid = ?", (broken, number))


def test_verify_store_finds_the_blob_and_replay_brings_it_back(
    settings: config.Config, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = run(settings, capsys, "verify-store")
    assert (code, out.startswith("all good")) == (0, True)
    damage(settings.history / "2026-01-01.sqlite", "part")
    code, out, _ = run(settings, capsys, "verify-store", "--json")
    assert code == 1
    assert any("part 1 of layout 1" in row["place"] and "checksum" in row["fault"] for row in json.loads(out))
    code, out, err = run(settings, capsys, "query", "gw/meter/power", "--from", "ever", "--json")
    assert code == 1
    assert "left out" in err
    assert len(json.loads(out)) == BATCHES // 4 * SECONDS
    code, out, _ = run(settings, capsys, "replay", "--day", "2026-01-01")
    assert (code, "1 days made again" in out) == (0, True)
    assert run(settings, capsys, "verify-store")[0] == 0
    code, out, _ = run(settings, capsys, "query", "gw/meter/power", "--from", "ever", "--json")
    assert (code, len(json.loads(out))) == (0, BATCHES * SECONDS)


def test_verify_store_finds_a_bad_batch_in_the_log(settings: config.Config, capsys: pytest.CaptureFixture[str]) -> None:
    damage(settings.log, "log")
    code, out, _ = run(settings, capsys, "verify-store", "--json")
    assert code == 1
    assert [row["place"] for row in json.loads(out)] == ["batch 1 of gw"]


def test_backup_and_restore(settings: config.Config, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    copy = tmp_path / "copies" / "one"
    (settings.ca).mkdir()
    (settings.ca / "root.key").write_text("secret")
    assert run(settings, capsys, "backup", "--to", str(copy))[0] == 0
    code, _, err = run(settings, capsys, "backup", "--to", str(copy))
    assert (code, "not empty" in err) == (1, True)
    code, _, err = run(settings, capsys, "restore", str(copy))
    assert (code, "--force" in err) == (1, True)
    fresh = tmp_path / "fresh" / "aggregator.toml"
    fresh.parent.mkdir()
    fresh.write_text(f'[aggregator]\nstate_dir = "{tmp_path / "other"}"\n')
    elsewhere = config.load(fresh)
    assert run(elsewhere, capsys, "restore", str(copy))[0] == 0
    assert run(elsewhere, capsys, "verify-store")[0] == 0
    code, out, _ = run(elsewhere, capsys, "query", "gw/meter/power", "--from", "ever", "--json")
    assert len(json.loads(out)) == BATCHES * SECONDS
    with (copy / "log.sqlite").open("r+b") as file:
        file.seek(5000)
        file.write(b"\x00\x01\x02")
    code, _, err = run(elsewhere, capsys, "restore", str(copy), "--force")
    assert (code, "is not what was backed up" in err) == (1, True)


def test_restore_in_place_keeps_keys_and_what_was_there(
    settings: config.Config, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (settings.ca).mkdir()
    (settings.ca / "root.key").write_text("secret")
    copy = tmp_path.parent / f"{tmp_path.name}-copy"
    run(settings, capsys, "backup", "--to", str(copy))
    assert not (copy / "ca").exists()
    assert run(settings, capsys, "backup", "--to", str(copy / "keys"), "--with-keys")[0] == 0
    assert (copy / "keys" / "ca" / "root.key").read_text() == "secret"
    damage(settings.log, "log")
    assert run(settings, capsys, "restore", str(copy), "--force")[0] == 0
    assert (settings.ca / "root.key").read_text() == "secret"
    assert run(settings, capsys, "verify-store")[0] == 0
    (aside,) = tmp_path.parent.glob(f"{tmp_path.name}.before-*")
    assert (aside / "log.sqlite").exists()
