"""The network on the residual: it learns, survives a kill, and a gateway computes what the gate judged.

These need PyTorch (extra `train`, not in `dev`: its wheels are large). CI has a job of its own for them.
"""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="extra train")

from aggregator.learning.bundling import make
from aggregator.learning.freerun import FloatNetwork, Int8Network, judged, run_free, runs_of
from aggregator.learning.identify import Plant, Scaling, calibrated, lagged
from aggregator.learning.network import Residuals, Shape, count, pruned
from aggregator.learning.stretch import Parts, divide
from aggregator.learning.terms import Terms, Trained
from aggregator.learning.training import Question, Rollout, Training
from aggregator.learning.validate import validate
from edge_agent.twin.forecast import Forecast
from protos.bundle import Bundle
from protos.model import Manifest, Variable
from tests.aggregator.learning.plants import draining_tank
from tests.simulators.bundles import signing_key

HORIZON, WARM = 20, 20
SHORT = Terms(hidden=(16, 16), epochs=40, aware_epochs=10, batch=32, rate=1e-2)
NAMES = (["level"], ["speed"])


class Killed(Exception):
    """Stands for a kill -9: nothing after it is run."""


class Tank:
    def __init__(self, steps: int = 2500) -> None:
        self.parts: Parts = divide([draining_tank(steps, noise=0.0005)], HORIZON, HORIZON + WARM + 1)
        self.scaling = Scaling.of(self.parts.train)
        self.plant: Plant = calibrated(lagged(self.parts.train, 0, self.scaling), self.parts.train)
        self.question = Question(self.plant, *NAMES)
        self.question.learn_scales(self.parts.train)
        self.told: list[tuple[str, int, float]] = []
        self.kill_at: tuple[str, int] | None = None

    def training(self, folder: Path, terms: Terms = SHORT) -> Training:
        linear, sd = self.plant.linear, self.scaling.y_sd
        runs = [runs_of(linear, part, HORIZON, WARM) for part in (self.parts.train, self.parts.validate)]
        rollouts = [Rollout(linear, self.question, one, sd) for one in runs]
        return Training(terms, self.question, rollouts[0], rollouts[1], folder / "training", self.tell)

    def tell(self, phase: str, epoch: int, error: float) -> None:
        if (phase, epoch) == self.kill_at:
            raise Killed
        self.told.append((phase, epoch, error))


@pytest.fixture(scope="module")
def tank() -> Tank:
    return Tank()


@pytest.fixture(scope="module")
def trained(tank: Tank, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return tank.training(tmp_path_factory.mktemp("training")).run()


def test_it_beats_the_linear_twin_on_held_out_time(tank: Tank, trained: Trained) -> None:
    runs = runs_of(tank.plant.linear, tank.parts.test, HORIZON, WARM)
    verdict = validate(tank.plant.linear, trained.candidates, runs, tank.scaling.y_sd, NAMES, tank.parts.test)
    assert verdict.accepted, verdict.reasons
    assert verdict.totals[f"{verdict.chosen}, int8"] < 0.95 * verdict.totals["linear"]
    assert verdict.parity < 0.02


def test_the_gate_refuses_a_network_that_does_harm(tank: Tank, trained: Trained) -> None:
    title, residual = trained.candidates[0]
    last = residual.layers[-1]
    residual = type(residual)(
        **{name: getattr(residual, name) for name in residual.__dataclass_fields__ if name != "layers"},
        layers=(*residual.layers[:-1], type(last)(-3 * last.weights, last.bias, last.low, last.high)),
    )
    runs = runs_of(tank.plant.linear, tank.parts.test, HORIZON, WARM)
    verdict = validate(tank.plant.linear, [(title, residual)], runs, tank.scaling.y_sd, NAMES, tank.parts.test)
    assert (verdict.accepted, verdict.chosen) == (False, "linear")
    assert "worse than the linear twin" in verdict.reasons[0]


def test_a_training_that_was_killed_ends_as_one_that_was_not(tank: Tank, trained: Trained, tmp_path: Path) -> None:
    again = Tank()
    for kill_at in (("float", 5), ("aware", 2)):
        again.kill_at = kill_at
        with pytest.raises(Killed):
            again.training(tmp_path).run()
    again.kill_at = None
    found = again.training(tmp_path).run()
    assert found.resumed_at > 0
    for (_, one), (_, other) in zip(found.candidates, trained.candidates, strict=True):
        for mine, wanted in zip(one.layers, other.layers, strict=True):
            np.testing.assert_allclose(mine.weights, wanted.weights, atol=1e-9)


def test_the_checkpoint_of_another_question_is_not_resumed(tmp_path: Path) -> None:
    one = Tank()
    one.kill_at = ("float", 3)
    with pytest.raises(Killed):
        one.training(tmp_path).run()
    one.kill_at = None
    terms = Terms(hidden=(16, 16), epochs=2, aware_epochs=1, seed=2)
    assert one.training(tmp_path, terms).run().resumed_at == 0


def test_a_gateway_computes_what_the_gate_judged(tank: Tank, trained: Trained) -> None:
    """The forecast of the gateway's own code, step by step, against ours."""
    _, residual = trained.candidates[0]
    level, speed = Variable.of("level", "water_level"), Variable.of("speed", "pump_speed")
    manifest = Manifest("tank", "1", "level-tank", 10_000_000_000, (level,), (level,), (speed,))
    key = signing_key()
    bundle = Bundle.open(make(manifest, tank.plant.linear, residual, card="# Tank", keys=[key]), [key.public_key()])
    runs = runs_of(tank.plant.linear, tank.parts.test, HORIZON, WARM)
    mine = Int8Network(residual, *NAMES)(runs.x, runs.u[:, 0])
    forecast = Forecast(bundle, len(runs))
    forecast.use_network(np.ones(len(runs), bool))
    with_network = forecast(runs.x, runs.u[:, 0]).copy()
    forecast.use_network(np.zeros(len(runs), bool))
    step = with_network - forecast(runs.x, runs.u[:, 0])
    lsb = residual.r_sd * 6 / 254
    assert np.abs(step - mine).max() <= 1.01 * lsb
    assert (np.abs(step - mine) <= 1e-3 * lsb).mean() > 0.9, "rounding at the edge of a step is all that differs"


def test_a_convolution_is_a_dense_layer_that_repeats_itself() -> None:
    shape = Shape("conv1d", taps=4, wide=2, hidden=(8,), targets=1, kernel=2, channels=3)
    network = Residuals(shape, seed=1)
    assert network.kernel is not None
    kernel = network.kernel.detach().numpy()
    z = np.random.default_rng(1).standard_normal((5, 8))
    W, _ = network.matrices()[0]
    found = z @ W.detach().numpy().T
    wanted = np.hstack([z[:, 2 * k : 2 * k + 4] @ kernel.T for k in range(3)])
    np.testing.assert_allclose(found, wanted, atol=1e-12)


def test_pruning_takes_whole_units_out(trained: Trained, tank: Tank) -> None:
    sizes = {name: count(one.layers) for name, one in trained.candidates}
    assert sizes["pruned, aware"] < 0.75 * sizes["quantised after training"]
    network = Residuals(Shape("dense", 1, 2, (12, 12), 1), 1)
    assert [len(one.bias) for one in pruned(network, tank.question.z, 0.5, 1).dense(tank.question.z)] == [6, 6, 1]


def test_int8_goes_no_further_astray_than_floating_point(tank: Tank, trained: Trained) -> None:
    runs = runs_of(tank.plant.linear, tank.parts.test, HORIZON, WARM)
    for _, one in trained.candidates:
        real, small = (
            judged(run_free(tank.plant.linear, runs, kind(one, *NAMES)), runs) for kind in (FloatNetwork, Int8Network)
        )
        assert small.free[0] < 1.02 * real.free[0]
