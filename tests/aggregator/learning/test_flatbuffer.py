"""Networks as full-integer TFLite files: what the runtime makes of them against plain arithmetic."""

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
from ai_edge_litert.interpreter import Interpreter
from hypothesis import given, settings
from hypothesis import strategies as st

from aggregator.learning.bundling import run
from aggregator.learning.flatbuffer import BadNetwork, Dense, Scale, quantised, write, write_float
from tests.simulators.dense import dense_layers

Floats = npt.NDArray[np.float64]


def real(layers: list[Dense], x: Floats) -> Floats:
    for layer in layers:
        x = x @ layer.weights.T + layer.bias
        x = np.maximum(x, 0) if layer.relu else x
    return x


def in_eight_bits(layers: list[Dense], q: npt.NDArray[np.int8], *, per_channel: bool) -> npt.NDArray[np.int64]:
    """What the specification says, with exact sums: float64 only where it rescales."""
    scale, x = Scale.of(-3, 3), q.astype(np.int64)
    for layer in layers:
        weights, weight_scales = quantised(layer.weights, per_channel=per_channel)
        weight_scales = np.broadcast_to(weight_scales, len(layer.bias))
        sums = (x - scale.zero) @ weights.astype(np.int64).T + np.rint(layer.bias / (scale.scale * weight_scales))
        out = Scale.of(layer.low, layer.high)
        x = np.rint(sums * (scale.scale * weight_scales / out.scale)).astype(np.int64) + out.zero
        x = np.clip(x, out.zero if layer.relu else -128, 127)
        scale = out
    return x


@pytest.mark.parametrize("per_channel", [True, False])
@pytest.mark.parametrize("widths", [(1, 1), (3, 8, 1), (48, 64, 64, 16), (7, 33, 5, 9, 2)])
def test_the_runtime_computes_what_the_specification_says(widths: tuple[int, ...], per_channel: bool) -> None:
    layers = dense_layers(widths)
    content = write(layers, -3, 3, per_channel=per_channel)
    q = np.random.default_rng(2).integers(-127, 128, (500, widths[0])).astype(np.int8)
    expected = in_eight_bits(layers, q, per_channel=per_channel)
    assert np.abs(run(content, q) - expected).max() <= len(layers), "one step of rounding for each layer at most"
    assert (run(content, q) == expected).mean() > 0.9


def test_close_to_the_float_network() -> None:
    layers = dense_layers((48, 64, 64, 16))
    x = np.clip(np.random.default_rng(3).normal(0, 1, (1000, 48)), -3, 3)
    wanted = real(layers, x)
    into, out = Scale.of(-3, 3), Scale.of(layers[-1].low, layers[-1].high)
    error = out.real(run(write(layers, -3, 3), into.quantise(x))) - wanted
    assert error.std() < 0.03 * wanted.std()
    coarser = out.real(run(write(layers, -3, 3, per_channel=False), into.quantise(x))) - wanted
    assert error.std() < coarser.std(), "scales per channel are finer"


def test_the_same_at_every_batch_size() -> None:
    content = write(dense_layers((5, 16, 3)), -3, 3)
    q = np.random.default_rng(4).integers(-128, 128, (130, 5)).astype(np.int8)
    together = run(content, q)
    for rows in (1, 2, 7, 64):
        parts = [run(content, q[k : k + rows]) for k in range(0, 130, rows)]
        np.testing.assert_array_equal(np.concatenate(parts), together)


def test_every_tensor_is_an_integer() -> None:
    interpreter = Interpreter(model_content=write(dense_layers((4, 8, 2)), -3, 3), num_threads=1)
    kinds = {tensor["dtype"] for tensor in interpreter.get_tensor_details()}
    assert kinds == {np.int8, np.int32}


def test_the_same_network_is_the_same_file() -> None:
    assert write(dense_layers((4, 8, 2)), -3, 3) == write(dense_layers((4, 8, 2)), -3, 3)


@given(st.floats(-1e6, 0), st.floats(1e-6, 1e6))
@settings(deadline=None)
def test_scales_cover_their_range_and_keep_zero(low: float, high: float) -> None:
    scale = Scale.of(low, high)
    ends = scale.real(np.array([-128, 127], np.int8))
    assert ends[0] <= low + scale.scale
    assert ends[1] >= high - scale.scale
    assert scale.real(scale.quantise(np.zeros(1)))[0] == 0.0


def test_a_layer_of_zeros_gives_zeros() -> None:
    dead = Dense(np.zeros((2, 3)), np.zeros(2), -1.0, 1.0)
    assert not run(write([dead], -3, 3), np.full((1, 3), 100, np.int8)).any()


def test_networks_that_cannot_be() -> None:
    first, last = dense_layers((3, 8, 1))
    with pytest.raises(BadNetwork, match="needs a layer"):
        write([], -3, 3)
    with pytest.raises(BadNetwork, match="layer 1: takes 8 values, layer 0 gives 4"):
        write([*dense_layers((3, 4)), last], -3, 3)
    with pytest.raises(BadNetwork, match="not finite"):
        write([replace(first, bias=np.full(8, np.nan)), last], -3, 3)
    with pytest.raises(BadNetwork, match="cannot be quantised"):
        write([first, replace(last, low=0.0, high=0.0)], -3, 3)
    with pytest.raises(BadNetwork, match="biases for"):
        write([replace(first, bias=np.zeros(3)), last], -3, 3)
    with pytest.raises(BadNetwork, match="a bias is too large"):
        write([replace(first, bias=np.full(8, 1e9)), last], -3, 3)


def test_the_float_file_computes_the_same_in_floating_point() -> None:
    random = np.random.default_rng(1)
    first = Dense(random.standard_normal((8, 3)), random.standard_normal(8), 0.0, 9.0, relu=True)
    last = Dense(random.standard_normal((2, 8)), random.standard_normal(2), -9.0, 9.0)
    interpreter = Interpreter(model_content=write_float([first, last]), num_threads=1)
    interpreter.allocate_tensors()
    z = random.standard_normal((1, 3))
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], z.astype(np.float32))
    interpreter.invoke()
    wanted = np.maximum(z @ first.weights.T + first.bias, 0) @ last.weights.T + last.bias
    found = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)
