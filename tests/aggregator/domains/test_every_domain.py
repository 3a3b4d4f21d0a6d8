"""Every domain in the table passes the battery; so does a copy of the blueprint, and a broken one is found out."""

import importlib
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from aggregator import domains
from aggregator.domains import DOMAINS, module_of
from aggregator.twin import BadModel, Floats
from aggregator.twin.part import Asset, Part, Wire
from tests.aggregator.domains.battery import CHECKS, learns, says_the_same_again, tells_the_slope_of_h

BLUEPRINT = "aggregator.domains._blueprint"
EACH = pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)


@pytest.mark.parametrize("name", DOMAINS)
@EACH
def test_domain(name: str, check: Callable[[ModuleType], None]) -> None:
    check(module_of(name))


def test_every_folder_is_in_the_table() -> None:
    here = Path(domains.__file__).parent
    folders = {f"aggregator.domains.{one.name}" for one in here.iterdir() if (one / "__init__.py").exists()}
    assert folders == set(DOMAINS.values())


def test_a_copy_is_a_domain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sixth domain: the folder copied, its name changed, nothing else."""
    shutil.copytree(Path(domains.__file__).parent / "_blueprint", tmp_path / "hospital")
    for file in (tmp_path / "hospital").glob("*.py"):
        file.write_text(file.read_text().replace(BLUEPRINT, "hospital"))
    monkeypatch.syspath_prepend(tmp_path)
    module = importlib.import_module("hospital")
    try:
        for check in CHECKS:
            check(module)
    finally:
        for name in [one for one in sys.modules if one.split(".")[0] == "hospital"]:
            del sys.modules[name]


def broken(**methods: object) -> ModuleType:
    """The blueprint with methods of its example replaced."""
    module = ModuleType("broken")
    original = module_of("blueprint")
    kind = type("Broken", (original.Domain,), methods)
    module.example = lambda: kind(original.example().ponds, original.example().inputs)  # type: ignore[attr-defined]
    return module


def test_broken_domains_are_found_out() -> None:
    """Negative controls: members that mix, a wrong slope, a model that is far too sure."""

    def mixing(self: object, X: Floats, u: Floats, k: int) -> Floats:
        mixed: Floats = X * 0.9 + X.mean(axis=1, keepdims=True) * 0.1
        return mixed

    def steep(self: object, X: Floats, channel: Floats, k: int) -> Floats:
        return 2.0 * X[: len(channel)]

    def sure(self: object, x: Floats, k: int) -> tuple[Floats, Floats]:
        return np.full(len(x), np.nan), np.zeros((len(x), 0))

    for check, methods in ((says_the_same_again, {"f": mixing}), (tells_the_slope_of_h, {"h": steep})):
        with pytest.raises(AssertionError):
            check(broken(**methods))
    with pytest.raises((AssertionError, ValueError)):
        learns(broken(Q=sure))


def test_bad_ponds_are_told_all_at_once() -> None:
    module = module_of("blueprint")
    values = {"drains_per_step": 0.1, "rim_m": 2.0, "pump_m": 0.2}
    ponds = [Asset(name, "pond", values) for name in "abc"]
    drains = [
        Asset(f"{a}{b}", "drain", {"length_m": 1.0}, (a, b))
        for a, b in (("a", "b"), ("b", "a"), ("c", "a"), ("c", "b"))
    ]
    gauges = [Wire(f"gw/gauge/{i}", "a", "water_level", 0.01) for i in range(2)]
    with pytest.raises(BadModel) as told:
        module.build(Part("blueprint", [*ponds, *drains], gauges, {"step_s": 60.0, "noise_m": 0.02}))
    assert len(str(told.value).splitlines()) == 4


def raining(depth_m: float) -> Any:
    rainy = module_of("blueprint").example()
    rainy.inputs.put("rain", 0, np.full(6, depth_m))
    return rainy


def test_the_plan_of_the_blueprint_keeps_ponds_below_their_rims() -> None:
    """Nearly full ponds in rain: without pumps they overflow, with the plan they do not; pumps at rest when dry."""
    rainy = raining(0.05)
    full = rainy.prior(0)
    full = type(full)(0, np.full(6, 1.6), np.full(6, 1e-4), full.A)
    plan = rainy.plan(full, 8, 5.0)
    assert plan.status == "optimal"
    x, free = full.x, full.x
    for k in range(8):
        x = rainy.f(x[:, None], rainy.steer(rainy.exogenous(k), plan.u[k], k), k)[:, 0]
        free = rainy.f(free[:, None], rainy.exogenous(k), k)[:, 0]
        assert (x <= 2.0).all()
    assert (free > 2.0).any()
    dry = raining(0.0)
    assert np.allclose(dry.plan(type(full)(0, np.full(6, 0.1), np.full(6, 1e-4), full.A), 8, 5.0).u, 0.0)
