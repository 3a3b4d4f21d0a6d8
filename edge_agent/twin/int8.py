"""A full-integer network on LiteRT: int8 in, int8 out, XNNPACK, one thread, one interpreter for all rows.

Only such models run: dynamic-range and hybrid ones compute partly in floating point, differ between machines, and
old runtimes return garbage for them without a word. Full-integer outputs are the same bit for bit on x86 and Arm.
TensorFlow Lite 8-bit quantisation specification: real = scale · (q − zero point).
"""

import ctypes
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from ai_edge_litert.interpreter import Interpreter

from edge_agent.image import Singles
from edge_agent.twin.faults import ModelRefused, NotFullInteger, WrongShape
from protos.model import CLAMP_SD

Int8s = npt.NDArray[np.int8]
Floats = npt.NDArray[np.float64]
Places = npt.NDArray[np.intp]
Bools = npt.NDArray[np.bool_]

TENSORS_MAX = 64  # three for each layer: a residual network has a few
CELLS_MAX = 1 << 20  # values of one tensor: what a gateway can hold and compute in a millisecond
LOW, HIGH = -128, 127
WIDE = HIGH - LOW
SHIFT = 0.5 - LOW  # of features: from steps to places in a table, and half a step so that truncation rounds


class Scale(NamedTuple):
    """real = scale · (q − zero)."""

    scale: float
    zero: int

    def steps(self, low: float, high: float) -> tuple[int, int]:
        """The first and last q within the real range `low` to `high`."""
        first, last = math.ceil(low / self.scale + self.zero - 0.01), math.floor(high / self.scale + self.zero + 0.01)
        return max(first, LOW), min(last, HIGH)


class Network:
    """One network for `rows` twins, or candidates, at once.

    Features and residuals are in quantisation steps: whoever calls has the scales in its own matrices already. Both
    ends are clamped to ±3 standard deviations.
    """

    def __init__(self, content: bytes, rows: int, shape: tuple[int, int] | None = None) -> None:
        """`shape` is (features, targets) as the manifest says. Raises ModelRefused."""
        self._interpreter = _interpreter(content)
        into, out = _ends(self._interpreter)
        refuse_unless_full_integer(self._interpreter.get_tensor_details(), into, out)
        width, targets = int(into["shape"][1]), int(out["shape"][1])
        if shape is not None and (width, targets) != shape:
            raise WrongShape(f"its network takes {width} values and gives {targets}, its manifest says {shape}")
        self._interpreter.resize_tensor_input(into["index"], [rows, width])
        try:
            self._interpreter.allocate_tensors()
        except (RuntimeError, ValueError) as error:
            raise ModelRefused(f"its network cannot be prepared: {error}") from None
        self.rows, self.width, self.targets = rows, width, targets
        self.into, self.out = _scale(into), _scale(out)
        self._z = _memory(self._interpreter, into["index"], (rows, width))
        self.told = _memory(self._interpreter, out["index"], (rows, targets))  # of the last run
        self._invoke = self._interpreter.invoke
        low, high = self.into.steps(-CLAMP_SD, CLAMP_SD)
        self._table: Int8s = np.clip(np.arange(LOW, HIGH + 1), low, high).astype(np.int8)
        self._asked: Places = np.zeros((rows, width), np.intp)
        self._low: Places = np.full(width, low - LOW, np.intp)
        self._high: Places = np.full(width, high - LOW, np.intp)
        self.ends = self.out.steps(-CLAMP_SD, CLAMP_SD)
        self._too_wide = self.ends[0] > LOW + 1 or self.ends[1] < HIGH  # our own tools make it end where the clamp does
        self._least, self._most = (np.full(targets, end, np.int8) for end in self.ends)
        self._none: Bools = np.zeros(rows, np.bool_)

    def trained(self, low: Floats, high: Floats) -> None:
        """The range of the training, each (width,), in steps: what is beyond it counts as outside."""
        np.maximum(self._low, np.floor(low + SHIFT).clip(0, WIDE).astype(np.intp), out=self._low)
        np.minimum(self._high, np.floor(high + SHIFT).clip(0, WIDE).astype(np.intp), out=self._high)

    def run(self, features: Singles) -> Int8s:
        """Residuals (rows, targets) in steps of `features` (rows, width) in steps + `SHIFT`; overwritten by the next.

        Truncation rounds, as the shift leaves no feature in range below zero; one look into a table clamps and
        quantises. Both together take a third of the time of maximum, minimum, rint and a cast.
        """
        self._asked[...] = features
        self._table.take(self._asked, None, self._z, "clip")
        self._invoke()
        if self._too_wide:
            np.clip(self.told, *self.ends, out=self.told)
        return self.told

    def outside(self) -> Bools:
        """Which rows (B,) of the last run asked beyond the training or ±3 sd, or were told an extreme. Not to be
        written to."""
        asked, told = self._asked, self.told
        beyond = np.less(asked, self._low)
        beyond |= np.greater(asked, self._high)
        extreme = np.less_equal(told, self._least)
        extreme |= np.greater_equal(told, self._most)
        if not np.count_nonzero(beyond) and not np.count_nonzero(extreme):
            return self._none
        return np.asarray(beyond.any(axis=1) | extreme.any(axis=1))

    def exact(self, z: Int8s) -> Int8s:
        """What the network itself makes of z (rows, width), as golden pairs are compared."""
        self._z[...] = z
        self._invoke()
        return self.told.copy()


def refuse_unless_full_integer(tensors: Sequence[dict[str, Any]], into: dict[str, Any], out: dict[str, Any]) -> None:
    """Raises NotFullInteger, and ModelRefused for more or larger tensors than a gateway's twin has."""
    if len(tensors) > TENSORS_MAX:
        raise ModelRefused(f"its network has {len(tensors)} tensors, {TENSORS_MAX} are allowed")
    remedy = "quantise it as full integer (int8 in, int8 out)"
    for one in tensors:
        if one["dtype"] not in (np.int8, np.int32):
            raise NotFullInteger(f"tensor {one['name']!r} is {one['dtype'].__name__}: {remedy}")
        if np.prod(one["shape"], dtype=np.int64) > CELLS_MAX:
            raise ModelRefused(f"tensor {one['name']!r} has more than {CELLS_MAX} values: make the network smaller")
    for end, one in (("takes", into), ("gives", out)):
        if one["dtype"] is not np.int8 or len(one["shape"]) != 2:
            raise NotFullInteger(f"the network {end} {one['dtype'].__name__} of {len(one['shape'])} axes: {remedy}")
        if not (np.isfinite(one["quantization"][0]) and one["quantization"][0] > 0):
            raise NotFullInteger(f"what the network {end} has no quantisation: {remedy}")


def _interpreter(content: bytes) -> Interpreter:
    try:
        return Interpreter(model_content=content, num_threads=1)
    except (RuntimeError, ValueError) as error:
        raise ModelRefused(f"its network cannot be loaded: {error}") from None


def _ends(interpreter: Interpreter) -> tuple[dict[str, Any], dict[str, Any]]:
    inputs, outputs = interpreter.get_input_details(), interpreter.get_output_details()
    if len(inputs) != 1 or len(outputs) != 1:
        raise WrongShape(f"its network has {len(inputs)} inputs and {len(outputs)} outputs, not one of each")
    return inputs[0], outputs[0]


def _scale(end: dict[str, Any]) -> Scale:
    return Scale(float(end["quantization"][0]), int(end["quantization"][1]))


def _memory(interpreter: Interpreter, index: int, shape: tuple[int, int]) -> Int8s:
    """The interpreter's own memory of a tensor, for as long as it lives: the graph is static and never resized again.

    `set_tensor` and `get_tensor` copy through objects made anew each time, which costs as much as a small network.
    The view does not hold the interpreter, which refuses to run while a view of `tensor()` does.
    """
    view = interpreter.tensor(index)()
    if view.shape != shape or view.dtype != np.int8 or not view.flags.c_contiguous:
        raise WrongShape(f"a tensor of the network is {view.shape} {view.dtype}, not {shape} int8")
    memory = (ctypes.c_int8 * view.size).from_address(view.__array_interface__["data"][0])
    return np.frombuffer(memory, np.int8).reshape(shape)
