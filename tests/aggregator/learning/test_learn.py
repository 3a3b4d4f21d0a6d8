"""From a real state directory's history to a bundle that a gateway takes; with the network where PyTorch is there."""

import json
from pathlib import Path

import pytest

from aggregator.cli import main
from aggregator.learning.recipe import RecipeError, read
from aggregator.stores.catalogue import Catalogue
from aggregator.stores.models import Models
from protos.bundle import Bundle, read_key
from tests.aggregator.learning.plants import TANK_RECIPE, Place, draining_tank, place

STEPS = 1600


@pytest.fixture
def tank(tmp_path: Path) -> Place:
    return place(tmp_path, draining_tank(STEPS))


def opened(tank: Place) -> Bundle:
    store = Models(tank.settings.learned / "models.sqlite", read_only=True)
    row = store.of("tank")
    store.close()
    assert row is not None
    return Bundle.open(row.bundle.read_bytes(), [read_key((tank.settings.learned / "model.pub").read_bytes())])


def test_history_becomes_a_signed_linear_twin_with_a_report(tank: Place, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "train", str(tank.recipe), *tank.times, "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert row["gate"] == "linear"
    assert row["free run, sd"] < row["persistence"] / 5
    assert 0.3 < row["NIS"] < 4, "on time that nobody looked at, of a plant that no linear twin has right"
    bundle = opened(tank)
    assert [one.name for one in bundle.manifest.channels] == ["level"]
    assert bundle.manifest.states[0].name == "level"
    assert "1 UNCERTAIN STUCK" in bundle.card
    assert "1 BAD NO_ANSWER" in bundle.card
    assert "Gaps: 3" in bundle.card
    assert main(["models", "show", "tank", "-c", str(tank.settings.path)]) == 0
    told = capsys.readouterr().out
    assert "persistence" in told
    assert "errors.png" in told
    assert main(["models", "list", "-c", str(tank.settings.path), "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)) == 1
    catalogue = Catalogue(tank.settings.catalogue, read_only=True)
    acts = [one.act for one in catalogue.audit()]
    catalogue.close()
    assert "model trained" in acts


def test_the_next_model_is_compared_with_the_one_in_service(tank: Place, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "train", str(tank.recipe), *tank.times]) == 0
    again = tank.recipe.with_name("again.toml")
    again.write_text(tank.recipe.read_text().replace("lags = 1", "lags = 0"))
    while main(["models", "train", str(again), *tank.times]) != 0:
        assert "wait a second" in capsys.readouterr().err
    assert "in service (tank" in opened(tank).card


def test_what_cannot_be_learned_says_why(tank: Place, capsys: pytest.CaptureFixture[str]) -> None:
    none = tank.recipe.with_name("none.toml")
    none.write_text(tank.recipe.read_text().replace("gw/tank/", "gw/cellar/"))
    assert main(["models", "train", str(none), *tank.times]) == 1
    assert "no readings of any of its points" in capsys.readouterr().err
    assert main(["models", "train", str(tank.recipe), "--from", "1h", "-c", str(tank.settings.path)]) == 1


def test_every_fault_of_a_recipe_is_told_at_once(tmp_path: Path) -> None:
    file = tmp_path / "bad.toml"
    text = TANK_RECIPE.format(kind="forest", horizon=300, epochs=0)
    file.write_text(text.replace('"water_level"', '"wetness"').replace("gw/tank/speed", "speed"))
    with pytest.raises(RecipeError) as caught:
        read(file)
    told = str(caught.value)
    assert all(one in told for one in ("train.kind", "train.epochs", "wetness", "site harbour: speed"))
    assert len(told.splitlines()) == 4
