"""whatif, risk and decisions beside the files of a server: what is asked, told, drawn, kept and refused."""

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from aggregator.city.file import load
from aggregator.city.live import Live
from aggregator.cli import main
from aggregator.decisions.decision import State, unpacked
from aggregator.decisions.steward import row_of
from aggregator.stores.catalogue import Catalogue, Point
from aggregator.stores.city import CityStore
from aggregator.stores.decisions import Decisions
from tests.aggregator.city.ponds import two_hills
from tests.aggregator.decisions.hills import PUMPED
from tests.aggregator.decisions.table import decided

NS = 1_000_000_000
STORM = """
[scenario]
name = "Storm"
horizon = "10 min"
members = 40

[[input]]
flow = "blueprint.rain"
value = 0.4

[[watch]]
asset = "lower"
quantity = "water_level"
above = 1.0
"""
Words = tuple[str, ...]


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[str]:
    """An aggregator whose server has kept the two hills, in the rain, a second ago."""
    monkeypatch.setenv("COLUMNS", "200")
    with two_hills(tmp_path, monkeypatch) as path:
        path.write_text(path.read_text() + PUMPED)
        assert main(["init", str(tmp_path / "a")]) == 0
        file = tmp_path / "a" / "aggregator.toml"
        file.write_text(file.read_text().replace('# file = "city.toml"', f'file = "{path}"'))
        live = Live(load(path), time.time_ns() - 600 * NS)
        blueprint = live.lanes["blueprint"].domain
        blueprint.inputs.put("rain", live.lanes["blueprint"].fuser.k, np.array([0.105]), "gw-a/weather/rain")
        live.advance(time.time_ns() - NS)
        store = CityStore(tmp_path / "a" / "city.sqlite")
        store.save(1, live.pack())
        store.close()
        catalogue = Catalogue(tmp_path / "a" / "catalogue.sqlite")
        for gateway in ("gw-a", "gw-b"):
            with catalogue.act(1, "test", "enrol", gateway):
                catalogue.put_gateway(gateway, "enrolled", 1)
        point = Point("gw-a", "pump", "rate", "m", "services", "water_flow", "", True, False, True)
        catalogue.put_points("gw-a", "north", [point], b"")
        catalogue.close()
        (tmp_path / "storm.toml").write_text(STORM)
        capsys.readouterr()
        yield str(file)


@pytest.fixture
def storm(tmp_path: Path) -> str:
    return str(tmp_path / "storm.toml")


def told(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> str:
    assert main(list(words)) == code
    out, err = capsys.readouterr()
    return " ".join((out if code == 0 else err).split())


def test_a_scenario_is_run_compared_kept_and_run_again(
    config: str, storm: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    picture = tmp_path / "storm.png"
    text = told(capsys, "whatif", storm, "--compare", "--png", str(picture), "--as", "ada", "-c", config)
    assert "Storm against as it is" in text
    assert "P(lower)" in text
    assert picture.read_bytes().startswith(b"\x89PNG")
    listed = json.loads(told(capsys, "whatif", "--list", "--json", "-c", config))
    assert [(row["name"], row["by"]) for row in listed] == [("Storm", "ada"), ("as it is", "ada")]
    kept = json.loads(told(capsys, "whatif", "Storm", "--kept", "--compare", "--json", "-c", config))
    (line, *_) = kept["comparison"]["indicators"]
    assert line["difference"] > 0
    assert kept["results"][1]["domains"]["below"]["exceedances"]["lower water_level above 1"]["ever"] > 0
    again = json.loads(told(capsys, "whatif", "Storm", "--json", "-c", config))
    assert again["results"][0]["name"] == "Storm"
    assert len(json.loads(told(capsys, "whatif", "--list", "--json", "-c", config))) == 3


def test_risks_are_ranked_and_drawn(config: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture = tmp_path / "risk.png"
    text = told(capsys, "risk", "--horizon", "10m", "--png", str(picture), "-c", config)
    assert "upper" in text
    assert "overflow" in text
    assert picture.read_bytes().startswith(b"\x89PNG")
    found = json.loads(told(capsys, "risk", "--horizon", "10m", "--json", "-c", config))
    assert found["risks"][0]["lowered"] < found["risks"][0]["expected"]
    assert "betweenness" in told(capsys, "risk", "--horizon", "10m", "--critical", "-c", config)


def test_a_decision_is_proposed_shown_and_approved(
    config: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (row,) = json.loads(
        told(capsys, "decisions", "propose", "blueprint", "--horizon", "5m", "--json", "--as", "planner", "-c", config)
    )
    assert row["told"].startswith("needs 1 persons: blueprint is not automatic")
    again = json.loads(told(capsys, "decisions", "propose", "blueprint", "--horizon", "5m", "--json", "-c", config))
    assert again[0]["told"] == "is open; one at a time"
    picture = tmp_path / "plan.png"
    text = told(capsys, "decisions", "show", row["decision"], "--png", str(picture), "-c", config)
    for words in ("proposed by planner", "gw-a/pump/rate", "not given", "over the rims, m"):
        assert words in text
    assert picture.read_bytes().startswith(b"\x89PNG")
    agreed = told(capsys, "decisions", "approve", row["decision"], "--as", "ada", "-c", config)
    assert agreed == f"{row['decision']}: approved"
    assert row["decision"] in told(capsys, "decisions", "-c", config)
    assert "only what is proposed can" in told(
        capsys, "decisions", "approve", row["decision"], "--as", "bo", "-c", config, code=1
    )
    (one,) = json.loads(told(capsys, "decisions", "--json", "-c", config))
    assert (one["state"], one["approvals"][0][0], one["orders"]) == ("approved", "ada", {})
    assert "ada: too wet" in told(
        capsys, "decisions", "stop", row["decision"], "--as", "ada", "--why", "too wet", "-c", config
    )
    catalogue = Catalogue(Path(config).parent / "catalogue.sqlite", read_only=True)
    noted = [(each.actor, each.act) for each in catalogue.audit() if each.subject == row["decision"]]
    catalogue.close()
    assert noted == [("planner", "propose"), ("ada", "approve"), ("bo", "approve refused"), ("ada", "stop")]


def test_what_ended_is_measured(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Where pictures of the time are kept; where none are, it stays open until a day has passed."""
    (row,) = json.loads(told(capsys, "decisions", "propose", "blueprint", "--horizon", "5m", "--json", "-c", config))
    folder = Path(config).parent
    catalogue, store = Catalogue(folder / "catalogue.sqlite"), CityStore(folder / "city.sqlite")
    decisions = Decisions(catalogue)
    kept = decisions.get(row["decision"])
    one = unpacked(kept.content)
    back_ns = 3600 * NS
    acts = tuple(each._replace(start_ns=each.start_ns - back_ns, end_ns=each.end_ns - back_ns) for each in one.acts)
    basis = replace(one.basis, t_ns=one.basis.t_ns - back_ns)
    done = replace(one, acts=acts, basis=basis, state=State.EFFECTIVE, begun_ns=one.proposed_ns - back_ns)
    assert decisions.change(row_of(done, kept.version), "test", "age", "")
    first = basis.t_ns // basis.dt_ns + 1
    level, sd = np.full(1, 0.2, np.float32), np.full(1, 0.01, np.float32)
    store.record("blueprint", basis.dt_ns, 1, [(first + i, level, sd) for i in range(30)])
    rows = json.loads(told(capsys, "decisions", "propose", "--horizon", "5m", "--json", "-c", config))
    assert rows[0]["decision"] == one.id
    assert rows[0]["told"].startswith("gained ")
    assert unpacked(decisions.get(one.id).content).gained == pytest.approx(np.mean(basis.forecast), rel=0.2)
    catalogue.close()
    store.close()


def test_stop_takes_everything_back(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    catalogue = Catalogue(Path(config).parent / "catalogue.sqlite")
    for name in ("d-1", "d-2"):
        Decisions(catalogue).put(row_of(replace(decided(2), id=name)), "test", "")
    catalogue.close()
    stopped = told(capsys, "decisions", "stop", "--as", "ada", "--why", "drill", "-c", config)
    assert stopped == "d-1: rejected ada: drill d-2: rejected ada: drill"
    rows = json.loads(told(capsys, "decisions", "--json", "-c", config))
    assert {(row["state"], row["reason"]) for row in rows} == {("rejected", "ada: drill")}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("whatif",), "name scenario files"),
        (("whatif", "Nothing"), "no file, and no scenario of this name"),
        (("whatif", "none.toml"), "can be read"),
        (("whatif", "STORM", "STORM", "--compare"), "two scenarios of this name"),
        (("whatif", "--list"), "no scenario was run yet"),
        (("risk", "--limit", "0"), "--limit: at least 1"),
        (("risk", "--horizon", "long"), "--horizon long: give a number"),
        (("risk", "--horizon", "1s"), "longer horizon"),
        (("decisions", "show"), "takes the names"),
        (("decisions", "show", "d-9"), "no such decision"),
        (("decisions", "approve"), "name a decision"),
        (("decisions", "approve", "d-9", "--as", "ada"), "no such decision"),
        (("decisions", "propose", "trafic"), "no such domain; there are blueprint, below"),
    ],
)
def test_words_that_help(config: str, storm: str, capsys: pytest.CaptureFixture[str], words: Words, said: str) -> None:
    words = tuple(storm if one == "STORM" else one for one in words)
    assert said in told(capsys, *words, "-c", config, code=1)


def test_a_server_without_a_city_says_what_to_write(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["init", str(tmp_path / "b")]) == 0
    config = str(tmp_path / "b" / "aggregator.toml")
    for verb in ("risk", "decisions propose"):
        assert "write [city] and file" in told(capsys, *verb.split(), "-c", config, code=1)


def test_the_keys_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert "[[closure]]" in told(capsys, "whatif", "--keys")
