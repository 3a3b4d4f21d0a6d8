"""A small dense network as a full-integer TFLite file: weights, activations and both ends int8, biases int32.

What the schema calls FULLY_CONNECTED layers one after another, quantised after the TensorFlow Lite 8-bit
specification: real = scale · (q − zero point); weights symmetric in ±127, per output channel; a bias has the scale
input · weight. Nothing but the schema that ships with the runtime is needed.

    BadNetwork      layers that do not fit each other, or a range or weight that cannot be quantised
"""

from collections.abc import Sequence
from dataclasses import dataclass

import flatbuffers
import numpy as np
import numpy.typing as npt
from ai_edge_litert import schema_py_generated as schema

Floats = npt.NDArray[np.float64]
Int8s = npt.NDArray[np.int8]

SCHEMA_VERSION = 3
OP_VERSION = 12  # of FULLY_CONNECTED: the first with int8 weights per channel
IDENTIFIER = b"TFL3"
WEIGHT_MAX = 127  # symmetric: −128 is not used
BIAS_MAX = 2**31 - 1
SCALE_MIN = 1e-30  # of a channel whose weights are all zero: any scale is right


class BadNetwork(ValueError):
    """Layers that make no network, or none that fits into 8 bits; the message says which and why."""


@dataclass(frozen=True, eq=False, slots=True)
class Dense:
    """y = act(W x + b), W (out, in), b (out,). `low` and `high` are what y really takes: it is clamped there."""

    weights: Floats
    bias: Floats
    low: float
    high: float
    relu: bool = False


@dataclass(frozen=True, slots=True)
class Scale:
    """real = scale · (q − zero), q from −128 to 127."""

    scale: float
    zero: int

    @classmethod
    def of(cls, low: float, high: float) -> "Scale":
        """The finest one that covers the range; symmetric ranges have their zero at 0. Raises BadNetwork."""
        low, high = min(low, 0.0), max(high, 0.0)  # zero is always exact
        if not (np.isfinite(low) and np.isfinite(high) and low < high):
            raise BadNetwork(f"the range {low} to {high} cannot be quantised: give the true minimum and maximum")
        if low == -high:
            return cls(high / 127, 0)
        scale = (high - low) / 255
        return cls(scale, int(np.clip(round(-128 - low / scale), -128, 127)))

    def quantise(self, values: Floats) -> Int8s:
        q: Int8s = np.clip(np.rint(values / self.scale) + self.zero, -128, 127).astype(np.int8)
        return q

    def real(self, q: Int8s) -> Floats:
        return self.scale * (q.astype(np.float64) - self.zero)


def write(layers: Sequence[Dense], low: float, high: float, *, per_channel: bool = True) -> bytes:
    """The TFLite file of a network whose input is from `low` to `high`. Raises BadNetwork.

    Its batch is 1; the runtime resizes it (the signature leaves it open).
    """
    check(layers)
    model = _Model()
    scale = Scale.of(low, high)
    tensor = model.activation("input", layers[0].weights.shape[1], scale)
    inputs = [tensor]
    for number, layer in enumerate(layers):
        weights, weight_scales = quantised(layer.weights, per_channel=per_channel)
        bias_scales = scale.scale * weight_scales
        bias = np.rint(layer.bias / bias_scales)
        if np.abs(bias).max() > BIAS_MAX:
            raise BadNetwork(f"layer {number}: a bias is too large for its weights; scale the layer or drop the unit")
        scale = Scale.of(layer.low, layer.high)
        operands = [
            tensor,
            model.constant(f"weights {number}", weights, weight_scales),
            model.constant(f"bias {number}", bias.astype(np.int32), bias_scales),
        ]
        tensor = model.activation(f"layer {number}", len(layer.bias), scale)
        model.dense(operands, tensor, relu=layer.relu)
    return model.pack(inputs, [tensor])


def write_float(layers: Sequence[Dense]) -> bytes:
    """The same network with 32-bit floating point: what the int8 file is compared with; gateways refuse it."""
    check(layers)
    model = _Model()
    tensor = model.real("input", layers[0].weights.shape[1])
    inputs = [tensor]
    for number, layer in enumerate(layers):
        parts = ((f"weights {number}", layer.weights), (f"bias {number}", layer.bias))
        operands = [tensor, *(model.real_constant(name, values) for name, values in parts)]
        tensor = model.real(f"layer {number}", len(layer.bias))
        model.dense(operands, tensor, relu=layer.relu)
    return model.pack(inputs, [tensor])


def check(layers: Sequence[Dense]) -> None:
    """Raises BadNetwork."""
    if not layers:
        raise BadNetwork("a network needs a layer")
    for number, layer in enumerate(layers):
        out, width = layer.weights.shape
        if not (np.isfinite(layer.weights).all() and np.isfinite(layer.bias).all()):
            raise BadNetwork(f"layer {number}: a weight or bias is not finite")
        if layer.bias.shape != (out,):
            raise BadNetwork(f"layer {number}: {layer.bias.shape[0]} biases for {out} units")
        if number and len(layers[number - 1].bias) != width:
            raise BadNetwork(
                f"layer {number}: takes {width} values, layer {number - 1} gives {len(layers[number - 1].bias)}"
            )


def quantised(weights: Floats, *, per_channel: bool) -> tuple[Int8s, Floats]:
    """Symmetric int8 weights, and the scale of each output channel (one for all of them when not `per_channel`)."""
    largest = np.abs(weights).max(axis=1, keepdims=True) if per_channel else np.abs(weights).max(keepdims=True)
    scales = np.maximum(largest / WEIGHT_MAX, SCALE_MIN)
    return np.rint(weights / scales).astype(np.int8), scales[:, 0]


class _Model:
    """The schema's objects, gathered tensor by tensor."""

    def __init__(self) -> None:
        self._buffers = [schema.BufferT()]  # the first one is empty by convention
        self._tensors: list[schema.TensorT] = []
        self._operators: list[schema.OperatorT] = []

    def activation(self, name: str, width: int, scale: Scale) -> int:
        tensor = self._tensor(name, (1, width), schema.TensorType.INT8, 0)
        tensor.shapeSignature = [-1, width]
        tensor.quantization = _quantisation([scale.scale], [scale.zero])
        return len(self._tensors) - 1

    def constant(self, name: str, values: npt.NDArray[np.integer], scales: Floats) -> int:
        buffer = schema.BufferT()
        buffer.data = np.frombuffer(values.tobytes(), np.uint8)
        self._buffers.append(buffer)
        kind = schema.TensorType.INT8 if values.dtype == np.int8 else schema.TensorType.INT32
        tensor = self._tensor(name, values.shape, kind, len(self._buffers) - 1)
        tensor.quantization = _quantisation(list(scales), [0] * len(scales))
        return len(self._tensors) - 1

    def real(self, name: str, width: int) -> int:
        self._tensor(name, (1, width), schema.TensorType.FLOAT32, 0).shapeSignature = [-1, width]
        return len(self._tensors) - 1

    def real_constant(self, name: str, values: Floats) -> int:
        buffer = schema.BufferT()
        buffer.data = np.frombuffer(values.astype(np.float32).tobytes(), np.uint8)
        self._buffers.append(buffer)
        self._tensor(name, values.shape, schema.TensorType.FLOAT32, len(self._buffers) - 1)
        return len(self._tensors) - 1

    def dense(self, operands: list[int], result: int, *, relu: bool) -> None:
        options = schema.FullyConnectedOptionsT()
        kind = schema.ActivationFunctionType
        options.fusedActivationFunction = kind.RELU if relu else kind.NONE
        operator = schema.OperatorT()
        operator.opcodeIndex, operator.inputs, operator.outputs = 0, operands, [result]
        operator.builtinOptionsType = schema.BuiltinOptions.FullyConnectedOptions
        operator.builtinOptions = options
        self._operators.append(operator)

    def pack(self, inputs: list[int], outputs: list[int]) -> bytes:
        graph = schema.SubGraphT()
        graph.tensors, graph.operators, graph.inputs, graph.outputs = self._tensors, self._operators, inputs, outputs
        code = schema.OperatorCodeT()
        code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.FULLY_CONNECTED
        code.version = OP_VERSION
        model = schema.ModelT()
        model.version, model.subgraphs, model.operatorCodes = SCHEMA_VERSION, [graph], [code]
        model.buffers = self._buffers
        builder = flatbuffers.Builder(1024)
        builder.Finish(model.Pack(builder), IDENTIFIER)
        return bytes(builder.Output())

    def _tensor(self, name: str, shape: Sequence[int], kind: int, buffer: int) -> schema.TensorT:
        tensor = schema.TensorT()
        tensor.name, tensor.shape, tensor.type, tensor.buffer = name, list(shape), kind, buffer
        self._tensors.append(tensor)
        return tensor


def _quantisation(scales: list[float], zeros: list[int]) -> schema.QuantizationParametersT:
    parameters = schema.QuantizationParametersT()
    parameters.scale, parameters.zeroPoint, parameters.quantizedDimension = scales, zeros, 0
    return parameters
