"""What runs and what is refused: full-integer networks only, whatever else a file may hold."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from flatbuffers import Builder

from aggregator.learning.bundling import run
from aggregator.learning.flatbuffer import Dense, write
from edge_agent.twin.faults import ModelRefused, NotFullInteger, WrongShape
from edge_agent.twin.forecast import Forecast
from edge_agent.twin.int8 import SHIFT, Network
from protos.bundle import Bundle, pack
from tests.edge.twin.setting import tank
from tests.simulators.bundles import signing_key
from tests.simulators.dense import dense_bundle, dense_layers

FLOAT, INT16 = schema.TensorType.FLOAT32, schema.TensorType.INT16


def changed(content: bytes, change: Callable[[schema.SubGraphT], None]) -> bytes:
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))
    change(model.subgraphs[0])
    builder = Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def dynamic_range(graph: schema.SubGraphT) -> None:
    """int8 weights, everything else floating point: what a converter makes when it was not shown any data."""
    for tensor in graph.tensors:
        if tensor.name.startswith(b"weights"):
            continue
        tensor.type, tensor.quantization = FLOAT, None


def sixteen_bits(graph: schema.SubGraphT) -> None:
    for tensor in graph.tensors:
        if tensor.type == schema.TensorType.INT8 and not tensor.name.startswith(b"weights"):
            tensor.type = INT16


def without_scale(graph: schema.SubGraphT) -> None:
    graph.tensors[graph.inputs[0]].quantization = None


def two_inputs(graph: schema.SubGraphT) -> None:
    graph.inputs = [graph.inputs[0], graph.inputs[0]]


@pytest.fixture(scope="module")
def content() -> bytes:
    return write(dense_layers((3, 8, 2)), -3, 3)


def test_it_is_the_network(content: bytes) -> None:
    z = np.random.default_rng(1).integers(-127, 128, (40, 3)).astype(np.int8)
    np.testing.assert_array_equal(Network(content, 40).exact(z), run(content, z))
    network = Network(content, 40)
    wanted = np.clip(run(content, z), *network.ends)
    np.testing.assert_array_equal(network.run(z.astype(np.float32) + np.float32(SHIFT)), wanted)


def test_features_are_rounded_and_clamped(content: bytes) -> None:
    network = Network(content, 4)
    asked = np.array([[0.4, -0.6, 3.0], [-200, 200, 1e30], [-128, 126.6, np.inf], [1.2, 0, 127]], np.float32)
    wanted = np.array([[0, -1, 3], [-127, 127, 127], [-127, 127, 127], [1, 0, 127]], np.int8)
    with np.errstate(invalid="ignore"):
        told = network.run(asked + np.float32(SHIFT)).copy()
    finite = np.isfinite(asked).all(axis=1) & (np.abs(asked) < 1e9).all(axis=1)
    np.testing.assert_array_equal(told[finite], run(content, wanted)[finite])
    assert network.outside().tolist()[1:3] == [True, True]


def test_beyond_the_training_is_outside(content: bytes) -> None:
    network = Network(content, 3)
    network.trained(np.full(3, -50.0), np.full(3, 50.0))
    network.run(np.array([[0, 0, 0], [49, -49, 0], [0, 60, 0]], np.float32) + np.float32(SHIFT))
    assert network.outside().tolist() == [False, False, True]


@pytest.mark.parametrize(
    ("change", "why"),
    [(dynamic_range, "is float32"), (sixteen_bits, "is int16"), (without_scale, "has no quantisation")],
)
def test_other_than_full_integer_is_refused(
    content: bytes, change: Callable[[schema.SubGraphT], None], why: str
) -> None:
    with pytest.raises(NotFullInteger, match=f"{why}.*: quantise it as full integer"):
        Network(changed(content, change), 1)


def test_the_dynamic_range_model_would_run(content: bytes) -> None:
    """Negative control: the runtime itself takes it without a word; only the check stands in between."""
    z = np.zeros((1, 3), np.float32)
    assert run(changed(content, dynamic_range), z).shape == (1, 2)  # type: ignore[arg-type]


def test_the_wrong_shape_is_refused(content: bytes) -> None:
    with pytest.raises(WrongShape, match=r"takes 3 values and gives 2, its manifest says \(4, 2\)"):
        Network(content, 1, (4, 2))
    with pytest.raises(ModelRefused):
        Network(changed(content, two_inputs), 1)


@pytest.mark.parametrize("bad", [b"", b"TFL3" * 10, bytes(1000)])
def test_no_model_at_all(bad: bytes) -> None:
    """Crafted and truncated files belong into the child process; these are refused by the runtime itself."""
    with pytest.raises(ModelRefused, match="cannot be loaded"):
        Network(bad, 1)


def test_an_output_that_could_say_too_much_is_clamped() -> None:
    """A network whose output reaches ±30 sd says at most ±3."""
    loud = Dense(np.full((1, 3), 20.0), np.zeros(1), -30.0, 30.0)
    network = Network(write([loud], -3, 3), 2)
    told = network.run(np.array([[127, 127, 127], [-127, -127, -127]], np.float32) + np.float32(SHIFT))
    assert told.ravel() * network.out.scale == pytest.approx([3, -3], abs=network.out.scale)


def test_forecast_is_the_formula(tmp_path: Path) -> None:
    """x⁺ = f0 + A (x − x0) + B (u − u0) + r_mean + r_sd · net(z), written out in double precision."""
    bundle = Bundle.open(dense_bundle((12, 16, 5), seed=3), [signing_key().public_key()])
    one, random = bundle.numbers, np.random.default_rng(1)
    x, u = random.normal(0, 1.5, (50, 5)), random.normal(0, 1.5, (50, 7))
    forecast = Forecast(bundle, 50)
    assert forecast.network is not None
    assert bundle.network is not None
    into, out = forecast.network.into, forecast.network.out
    z = (np.hstack((x, u)) - one.z_mean) / one.z_sd
    q = np.clip(np.floor(z / into.scale + 0.5) + into.zero, -127, 127).astype(np.int8)
    net = out.scale * (run(bundle.network, q).astype(float) - out.zero)
    linear = one.f0 + (x - one.x0) @ one.A.T + (u - one.u0) @ one.B.T
    np.testing.assert_allclose(forecast(x, u), linear + one.r_mean + one.r_sd * net, atol=2e-6)
    some = random.random(50) < 0.5
    forecast.use_network(some)
    mixed = linear + np.where(some[:, None], one.r_mean + one.r_sd * net, 0.0)
    np.testing.assert_allclose(forecast(x, u), mixed, atol=2e-6)
    forecast.use_network(np.ones(50, bool))
    np.testing.assert_allclose(forecast(x, u), linear + one.r_mean + one.r_sd * net, atol=2e-6)


def test_targets_need_not_be_neighbours(tmp_path: Path) -> None:
    bundle = Bundle.open(dense_bundle((6, 8, 4), seed=2), [signing_key().public_key()])
    assert bundle.manifest.network is not None
    order = ("x2", "x0", "x3", "x1")
    network = replace(bundle.manifest.network, targets=order)
    parts = {"numbers": bundle.numbers.encode(), "golden": bundle.golden.encode(), "card.md": b""}
    data = pack(
        replace(bundle.manifest, network=network), parts | {"residual.tflite": bundle.network or b""}, signing_key()
    )
    turned = Bundle.open(data, [signing_key().public_key()])
    x, u = np.random.default_rng(1).normal(0, 1, (3, 4)), np.zeros((3, 2))
    plain = Forecast(bundle, 3)
    linear = Forecast(bundle, 3)
    linear.use_network(np.zeros(3, bool))
    residual = plain(x, u) - linear(x, u)
    np.testing.assert_allclose(Forecast(turned, 3)(x, u) - linear(x, u), residual[:, [1, 3, 0, 2]], atol=1e-7)


def test_no_increment_is_too_small(tmp_path: Path) -> None:
    """A litre an hour into two square metres, in steps of 10 ms: 1.4e-9 m each, summed for an hour."""
    bundle = tank(tmp_path, period_ms=10)
    forecast = Forecast(bundle, 1)
    x, u = np.array([[3.9, 18.001]]), np.array([[50.0]])
    for _ in range(1000):
        x = forecast(x, u)
    assert x[0, 0] - 3.9 == pytest.approx(1000 * 0.001 / 3600 / 2 * 0.01, rel=1e-3)
