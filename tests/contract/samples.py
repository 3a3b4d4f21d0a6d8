"""One sample of every message of the contract with every field set, and batches of every kind.

`python -m tests.contract.samples VERSION` writes them to tests/contract/released/VERSION when that version is
released; what is there is never written again. test_compatible.py reads every version that there is.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from google.protobuf import descriptor
from google.protobuf.descriptor import FieldDescriptor as Field
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from protos import enrolment_pb2, local_pb2, sync_pb2, telemetry_pb2
from protos.batch import Batch, Block, Key, Priority, Text, encode
from protos.clock import NS, Anchor

RELEASED = Path(__file__).parent / "released"
FILES = (telemetry_pb2, sync_pb2, enrolment_pb2, local_pb2)
DEPTH_MAX = 4  # of messages within messages
NUMBERS = {
    Field.TYPE_DOUBLE: -0.1,
    Field.TYPE_FLOAT: 0.5,
    Field.TYPE_BOOL: True,
    Field.TYPE_INT32: -(2**31),
    Field.TYPE_INT64: -(2**63),
    Field.TYPE_UINT32: 2**32 - 1,
    Field.TYPE_UINT64: 2**64 - 1,
}


def value(field: Field, depth: int) -> object:
    """A value for one field that shows when it is read as another field or another type."""
    if field.message_type is not None:
        return filled(field.message_type, depth + 1)
    if field.type == Field.TYPE_STRING:
        return f"{field.name} ü"
    if field.type == Field.TYPE_BYTES:
        return field.name.encode() + b"\0\xff"
    return NUMBERS[field.type]


def fill(message: Message, field: Field, depth: int) -> None:
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        kind = field.message_type.fields_by_name["value"]
        getattr(message, field.name)["key ü"] = value(kind, depth)
    elif field.is_repeated:
        target = getattr(message, field.name)
        target.extend([value(field, depth), value(field, depth)])
    elif field.type == Field.TYPE_MESSAGE:
        getattr(message, field.name).CopyFrom(value(field, depth))
    else:
        setattr(message, field.name, value(field, depth))


def filled(kind: descriptor.Descriptor, depth: int = 0, choice: str = "") -> Message:
    """A message with every field set; of a oneof the field `choice`, or the last."""
    message = GetMessageClass(kind)()
    if depth < DEPTH_MAX:
        for field in kind.fields:
            if field.containing_oneof is None or not choice or field.name == choice:
                fill(message, field, depth)
    return message


def messages() -> Iterator[tuple[str, bytes]]:
    """(file name, bytes) of every message; one for each choice where a message has a oneof."""
    for file in FILES:
        for name, kind in file.DESCRIPTOR.message_types_by_name.items():
            choices = [field.name for one in kind.oneofs for field in one.fields] or [""]
            for choice in choices:
                parts = [name, choice] if choice else [name]
                yield ".".join((*parts, "bin")), filled(kind, 0, choice).SerializeToString(deterministic=True)


def batches() -> Iterator[tuple[str, Batch]]:
    """Batches that take every path of the format."""
    random = np.random.default_rng(17)
    anchor = Anchor(bytes(range(16)), 1_700_000_000 * NS, 5_000_000, "aggregator")
    raw = random.integers(0, 2**63, (4, 2)).view(np.float64)
    columns = {
        "decimal": random.integers(0, 99, (4, 2)) * 0.1,
        "single": random.normal(0, 1, (4, 2)).astype(np.float32).astype(np.float64),
        "raw": raw,
        "special": np.array([[np.nan, np.inf], [-0.0, -np.inf], [0.0, 5e-324], [np.nan, 2.0**53]]),
    }
    times = np.array([1, 10**9, 2 * 10**9 + 7, 3 * 10**9], np.int64)
    good, codes = np.zeros((4, 2), np.uint8), random.integers(0, 192, (4, 2)).astype(np.uint8)
    text = Text("meter", "serial", 1, 2, 0, "A-17 ü")
    for name, values in columns.items():
        for coded in (good, codes):
            block = Block("meter", ("a", "b"), times, times - coded[:, 0], values, coded)
            kind = f"{name}{'-coded' if coded is codes else ''}"
            yield f"{kind}.batch", Batch(Key("gw-1", 1, 2**40), Priority.TELEMETRY, anchor, (block,))
    whole_ms = times // 10**6 * 10**6
    ragged = tuple(
        Block(
            f"meter-{rows}",
            ("a", "b"),
            whole_ms[:rows],
            whole_ms[:rows],
            raw[:rows],
            good[:rows],
        )
        for rows in (1, 3, 4)
    )
    yield "ragged.batch", Batch(Key("gw-1", 2, 1), Priority.AUDIT, anchor, ragged, (text, text))
    yield "texts.batch", Batch(Key("gw-1", 2, 2), Priority.EVENT, anchor, (), (text,))


def write(version: str) -> int:
    folder = RELEASED / version
    if folder.exists():
        print(f"{folder} is there: a released version is never written again", file=sys.stderr)
        return 1
    folder.mkdir(parents=True)
    for name, data in messages():
        (folder / name).write_bytes(data)
    for name, batch in batches():
        (folder / name).write_bytes(encode(batch))
    print(f"{len(list(folder.iterdir()))} samples in {folder}")
    return 0


if __name__ == "__main__":
    sys.exit(write(sys.argv[1]))
