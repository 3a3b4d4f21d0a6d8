"""The table in the domain's EXPERIMENT.md is what this code gives, run again from its seed; and without its habits."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aggregator.domains import energy
from aggregator.twin import Floats
from aggregator.twin.belief import Belief
from aggregator.twin.calibration import Tuning
from aggregator.twin.fuser import Fuser, Settings
from aggregator.twin.gaussian import Gaussian
from aggregator.twin.measurement import Meas

TABLE = Path(energy.__file__).parent / "EXPERIMENT.md"
BEGIN = 1_451_606_400 // 900 + 100 * 96
STEPS, SKIP, SEED = 120, 24, 4
CLOSE = 0.05  # of a number in the table: other libraries round otherwise
ROWS = ("power of loads, W", "voltage of boxes, V", "loading of cables, %")


def seen_as(one: Any, x: Floats, k: int) -> list[Floats]:
    """What the table's rows are about."""
    flows = one.flows(x[:, None], k)
    return [x[one.grid.layout["load", "active_power"]], flows.voltage[1:, 0], flows.line_loading[:, 0]]


def truth_of(one: Any) -> list[Floats]:
    """The domain's own model, its own noise."""
    noise = np.random.default_rng(SEED)
    found = [one.prior(BEGIN).sample(1, seed=SEED)[:, 0]]
    for k in range(BEGIN + 1, BEGIN + STEPS + 1):
        diag, B = one.Q(found[-1], k)
        shaken = np.sqrt(diag) * noise.standard_normal(one.n) + B @ noise.standard_normal(B.shape[1])
        found.append(one.f(found[-1][:, None], one.exogenous(k), k)[:, 0] + shaken)
    return found


def run(one: Any, model: Any) -> tuple[np.ndarray, float]:
    """RMSE (rows, forecast · analysis · climatology) and NIS/m of `model` on the truth of `one`."""
    truth, noise, channel = truth_of(one), np.random.default_rng(SEED + 1), np.arange(len(one.channels))
    sd = np.array([500.0, 500.0, 1.0, 50.0, 1.0, 1.0, 50.0, 50.0, 200.0])
    scheme = Gaussian()
    fuser = Fuser(model, scheme, BEGIN, Settings(lag=1, ahead=1), Tuning(turn=0))
    errors: list[list[list[Floats]]] = [[[], [], []] for _ in ROWS]
    nis = []
    for i in range(1, STEPS + 1):
        k, before = BEGIN + i, fuser.belief()
        y = one.h(truth[i][:, None], channel, k)[:, 0] + sd * noise.standard_normal(len(channel))
        fuser.ingest(Meas.of(t_ns=k * one.dt_ns, gateway=0, epoch=1, sequence=i, channel=channel, y=y, var=sd**2))
        fuser.advance(k)
        if i <= SKIP:
            continue
        nis.append(fuser.innovations(k - 1)[0].nis / len(channel))
        ahead: Belief = scheme.forecast(model, before, k, 1.0)
        usual = usual_of(model, k)
        of = [seen_as(one, x, k) for x in (ahead.x, fuser.belief().x, usual)]
        for row, true in enumerate(seen_as(one, truth[i], k)):
            for column in range(3):
                errors[row][column].append(of[column][row] - true)
    table = np.array([[np.sqrt(np.mean(np.square(column))) for column in row] for row in errors])
    return table, float(np.mean(nis))


def usual_of(model: Any, k: int) -> Floats:
    usual: Floats = model.exogenous(k)[: model.n]
    return usual


def table() -> np.ndarray:
    rows = [
        re.findall(r"\| *([\d.]+) *(?=\|)", line) for line in TABLE.read_text().splitlines() if line.startswith("| ")
    ]
    return np.array([[float(one) for one in row] for row in rows if len(row) == 3])


def test_the_table_is_true() -> None:
    one = energy.example()
    found, nis = run(one, one)
    print(
        "\n".join(f"| {name} | {' | '.join(f'{v:.3g}' for v in row)} |" for name, row in zip(ROWS, found, strict=True))
    )
    print(nis)
    assert found == pytest.approx(table(), rel=CLOSE)
    assert (found[:, 1] <= found[:, 0]).all()
    assert (found[:, 0] < found[:, 2]).all()
    assert 0.8 < nis < 1.25


def test_a_twin_that_is_too_sure_is_found_out() -> None:
    """Negative control: a twin that is told its loads hardly stray believes itself, and NIS/m says so."""
    one, sure = energy.example(), energy.example()
    sure.habits = replace(sure.habits, spread=sure.habits.spread / 4)
    found, nis = run(one, sure)
    assert nis > 1.25
    assert found[0, 1] > table()[0, 1]
