"""Bundles that no gateway may run: damaged, crafted, of the wrong kind; each with the reason to expect.

`outer` are refused by signature, digests and lengths. All others are signed by a trusted key and whole, so that what
is wrong with them reaches the loader: a signing key in the wrong hands, or a tool with a fault.
"""

import struct
from collections.abc import Callable, Iterator, Mapping
from copy import copy
from dataclasses import replace
from random import Random
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from aggregator.learning.bundling import make
from aggregator.learning.flatbuffer import Dense, write
from protos.bundle import HEAD, SIGNATURE, Bundle, PrivateKey, pack
from protos.model import Golden
from tests.simulators.bundles import CARD, signing_key, tank_linear, tank_manifest, tank_residual

KEY = signing_key()
Builtin, Kind = schema.BuiltinOperator, schema.TensorType


def good_bundle(period_ms: int = 100) -> bytes:
    """The bundle that all others are made of: a tank with an int8 network."""
    return make(tank_manifest(period_ms=period_ms), tank_linear(period_ms), tank_residual(), card=CARD, keys=[KEY])


def parts(bundle: Bundle) -> dict[str, bytes]:
    assert bundle.network is not None
    return {
        "numbers": bundle.numbers.encode(),
        "golden": bundle.golden.encode(),
        "card.md": bundle.card.encode(),
        "residual.tflite": bundle.network,
    }


def resigned(bundle: Bundle, key: PrivateKey = KEY, **changed: bytes) -> bytes:
    """The same bundle with other parts (`residual`, `golden`), signed again."""
    names = {"residual": "residual.tflite", "golden": "golden"}
    return pack(bundle.manifest, parts(bundle) | {names[part]: content for part, content in changed.items()}, key)


# ---- what signature, digests and lengths refuse


def outer(data: bytes) -> Iterator[tuple[str, bytes]]:
    begin = HEAD.size + SIGNATURE.size
    length = HEAD.unpack_from(data)[3]
    for share in (0, 1, 5, 50, 99):
        yield f"cut to {share} %", data[: len(data) * share // 100]
    yield "one byte more", data + b"x"
    yield "no signature", HEAD.pack(data[:8], 1, 0, length) + data[begin:]
    yield "a stranger's signature", resigned(Bundle.open(data, [KEY.public_key()]), signing_key(66))
    yield "a signature of zeros", data[: HEAD.size + 32] + bytes(64) + data[begin:]
    yield "another's signature under a trusted name", data[: HEAD.size + 32] + signing_key(66).sign(b"x") + data[begin:]
    yield "manifest changed", data.replace(b'"version":"1"', b'"version":"2"')
    middle = begin + length
    half = middle + (len(data) - middle) // 2
    yield "parts swapped", data[:middle] + data[half:] + data[middle:half]
    for share in (10, 50, 90):
        at = middle + (len(data) - middle) * share // 100
        yield f"part changed at {share} %", data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
    yield "signatures without end", HEAD.pack(data[:8], 1, 65_535, length) + data[HEAD.size :]
    yield "a manifest without end", HEAD.pack(data[:8], 1, 1, 2**32 - 1) + data[HEAD.size :]
    yield "of another layout", HEAD.pack(data[:8], 9, 1, length) + data[HEAD.size :]
    yield "too large", data + bytes(16 << 20)


# ---- what reaches the loader

Change = Callable[[Any, Any], None]  # (model, its first graph) of the schema's object tree


def tensor(graph: Any, start: str) -> Any:
    return next(one for one in graph.tensors if bytes(one.name).startswith(start.encode()))


def set_code(model: Any, builtin: int, custom: str = "") -> None:
    code = model.operatorCodes[0]
    code.builtinCode, code.deprecatedBuiltinCode, code.customCode = builtin, min(builtin, 127), custom or None


def set_floats(graph: Any, model: Any, *, weights: bool) -> None:
    """Activations in floating point; with `weights` those too, else int8 as dynamic-range quantisation leaves them."""
    for one in graph.tensors:
        stays = bytes(one.name).startswith(b"weights") and not weights
        if stays or one.type == Kind.FLOAT32:
            continue
        raw = np.asarray(model.buffers[one.buffer].data if one.buffer else [], np.uint8).tobytes()
        values = np.frombuffer(raw, np.int8 if one.type == Kind.INT8 else np.int32).astype(np.float32)
        if one.buffer:
            model.buffers[one.buffer].data = np.frombuffer(values.tobytes(), np.uint8)
        one.type, one.quantization = Kind.FLOAT32, None


def append(model: Any, graph: Any, builtin: int, operands: list[Any], options: Any = None) -> None:
    """A further operator at the end of the graph, on its output and on `operands`; its result is the new output."""
    last = graph.tensors[graph.outputs[0]]
    result = copy(last)
    result.name = "result"
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = builtin
    code.version = 1
    operator = schema.OperatorT()
    operator.opcodeIndex = len(model.operatorCodes)
    operator.inputs = [graph.outputs[0], *range(len(graph.tensors), len(graph.tensors) + len(operands))]
    graph.tensors += [*operands, result]
    operator.outputs = graph.outputs = [len(graph.tensors) - 1]
    if options is not None:
        operator.builtinOptionsType, operator.builtinOptions = schema.BuiltinOptions.WhileOptions, options
    model.operatorCodes.append(code)
    graph.operators.append(operator)


def constant(model: Any, name: str, kind: int, values: Any) -> Any:
    one, content = schema.TensorT(), schema.BufferT()
    one.name, one.shape, one.type, one.buffer = name, [len(values)], kind, len(model.buffers)
    content.data = np.frombuffer(values.tobytes(), np.uint8)
    model.buffers.append(content)
    return one


def endless(model: Any, graph: Any) -> None:
    """What it makes goes round a loop whose condition is always true."""
    last = graph.tensors[graph.outputs[0]]
    condition, body = schema.SubGraphT(), schema.SubGraphT()
    for one in (condition, body):
        one.tensors, one.inputs, one.outputs, one.operators = [last], [0], [0], []
    condition.tensors.append(constant(model, "yes", Kind.BOOL, np.ones(1, np.bool_)))
    condition.outputs = [1]
    options = schema.WhileOptionsT()
    options.condSubgraphIndex, options.bodySubgraphIndex = 1, 2
    append(model, graph, Builtin.WHILE, [], options)
    model.subgraphs += [condition, body]


def bomb(model: Any, graph: Any) -> None:
    """What it makes is repeated a billion times."""
    append(model, graph, Builtin.TILE, [constant(model, "times", Kind.INT32, np.array([1, 1 << 30], np.int32))])


CHANGES: Mapping[str, Change] = {
    "a buffer that is not there": lambda m, g: setattr(tensor(g, "weights 0"), "buffer", 999),
    "a buffer shorter than its tensor": lambda m, g: setattr(m.buffers[1], "data", m.buffers[1].data[:3]),
    "an empty buffer": lambda m, g: setattr(m.buffers[1], "data", None),
    "a buffer beyond the end": lambda m, g: vars(m.buffers[1]).update(data=None, offset=1 << 40, size=24),
    "a buffer at the very end": lambda m, g: vars(m.buffers[1]).update(data=None, offset=1280, size=4096),
    "a tensor that is not there": lambda m, g: setattr(g.operators[0], "inputs", [0, 999, 2]),
    "a tensor below zero": lambda m, g: setattr(g.operators[0], "inputs", [0, -7, 2]),
    "an output that is not there": lambda m, g: setattr(g, "outputs", [4242]),
    "no outputs": lambda m, g: setattr(g, "outputs", []),
    "no inputs": lambda m, g: setattr(g, "inputs", []),
    "no graph": lambda m, g: setattr(m, "subgraphs", []),
    "an operator code that is not there": lambda m, g: setattr(g.operators[0], "opcodeIndex", 7),
    "an unknown operator": lambda m, g: set_code(m, 20_000),
    "an operator that is not built in": lambda m, g: set_code(m, Builtin.CUSTOM, "FlexMatMul"),
    "an operator of another kind": lambda m, g: set_code(m, Builtin.CONV_2D),
    "an operator of a later version": lambda m, g: setattr(m.operatorCodes[0], "version", 4000),
    "an operator that feeds itself": lambda m, g: setattr(g.operators[1], "inputs", [*g.operators[1].outputs, 5, 6]),
    "weights larger than memory": lambda m, g: setattr(tensor(g, "weights 0"), "shape", [1 << 20, 1 << 20]),
    "activations larger than memory": lambda m, g: setattr(tensor(g, "layer 0"), "shape", [1, (1 << 31) - 1]),
    "a shape below zero": lambda m, g: setattr(tensor(g, "weights 0"), "shape", [-8, -3]),
    "a shape of zeros": lambda m, g: setattr(tensor(g, "weights 0"), "shape", [0, 0]),
    "weights without a scale": lambda m, g: setattr(tensor(g, "weights 0"), "quantization", None),
    "a scale of zero": lambda m, g: setattr(tensor(g, "input").quantization, "scale", [0.0]),
    "a scale that is not finite": lambda m, g: setattr(tensor(g, "input").quantization, "scale", [float("nan")]),
    "a zero point beyond int8": lambda m, g: setattr(tensor(g, "layer 0").quantization, "zeroPoint", [1 << 20]),
    "fewer scales than channels": lambda m, g: setattr(tensor(g, "weights 0").quantization, "scale", [0.1, 0.2]),
    "a loop without end": endless,
    "a gigabyte out of nothing": bomb,
    "codes left out": lambda m, g: setattr(m, "operatorCodes", None),
    "graphs left out": lambda m, g: setattr(m, "subgraphs", None),
    "buffers left out": lambda m, g: setattr(m, "buffers", None),
    "tensors left out": lambda m, g: setattr(g, "tensors", None),
    "operators left out": lambda m, g: setattr(g, "operators", None),
    "inputs left out": lambda m, g: setattr(g.operators[0], "inputs", None),
    "outputs left out": lambda m, g: setattr(g.operators[0], "outputs", None),
    "a shape left out": lambda m, g: setattr(tensor(g, "weights 0"), "shape", None),
    "all in floating point": lambda m, g: set_floats(g, m, weights=True),
    "dynamic range": lambda m, g: set_floats(g, m, weights=False),
}


def crafted(content: bytes) -> Iterator[tuple[str, bytes]]:
    """TFLite files made of a good one, each with one thing wrong that a loader may trip over."""
    for name, change in CHANGES.items():
        model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))
        change(model, model.subgraphs[0] if model.subgraphs else None)
        builder = flatbuffers.Builder(1024)
        builder.Finish(model.Pack(builder), b"TFL3")
        yield name, bytes(builder.Output())
    yield "another shape than the manifest says", write([Dense(np.ones((1, 4)), np.zeros(1), -3.0, 3.0)], -3.0, 3.0)
    yield "nothing", b""
    yield "text", b"this is no model"
    yield "zeros", bytes(4096)
    yield "ones", b"\xff" * 4096
    yield "a root beyond the end", struct.pack("<I", 0xFFFF_FFF0) + content[4:]
    yield "a table beyond the end", content[:8] + b"\xff" * 32 + content[40:]
    yield "a name and nothing else", b"\x08\0\0\0TFL3" + bytes(8)


def cut(content: bytes, count: int) -> Iterator[tuple[str, bytes]]:
    for k in range(1, count + 1):
        size = len(content) * k // (count + 1)
        yield f"network cut to {size} bytes", content[:size]


def flipped(content: bytes, count: int, seed: int = 1) -> Iterator[tuple[str, bytes]]:
    """One to eight bits are other ones, anywhere."""
    chance = Random(seed)
    for k in range(count):
        damaged = bytearray(content)
        bits = chance.sample(range(8 * len(content)), 1 << chance.randrange(4))
        for bit in bits:
            damaged[bit // 8] ^= 1 << bit % 8
        yield f"flip {k}: bits {bits}", bytes(damaged)


def wrong_pairs(bundle: Bundle) -> Iterator[tuple[str, bytes]]:
    """Golden pairs that are not those of the model, and a model of another shape."""
    golden = bundle.golden
    other = golden.r.copy()
    other[17, 0] ^= 1
    yield "one golden bit", resigned(bundle, golden=replace(golden, r=other).encode())
    yield "golden pairs of another model", resigned(bundle, golden=replace(golden, r=golden.r[::-1]).encode())
    yield (
        "a linear step that is not the matrices'",
        resigned(bundle, golden=replace(golden, linear=golden.linear + 0.01).encode()),
    )
    none = Golden(golden.x[:0], golden.u[:0], golden.linear[:0], golden.z[:0], golden.r[:0])
    content = parts(bundle) | {"golden": none.encode()}
    yield "no golden pairs", pack(replace(bundle.manifest, golden=0), content, KEY)


def inner(data: bytes, cuts: int, flips: int) -> Iterator[tuple[str, bytes]]:
    """All that is signed and whole, and must be refused by the trial."""
    bundle = Bundle.open(data, [KEY.public_key()])
    assert bundle.network is not None
    for name, content in (
        *crafted(bundle.network),
        *cut(bundle.network, cuts),
        *flipped(bundle.network, flips),
    ):
        yield name, resigned(bundle, residual=content)
    yield from wrong_pairs(bundle)
