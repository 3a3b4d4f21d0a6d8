"""Batches and log rows for tests of history: small, and described by what a model can check."""

from collections.abc import Sequence

import numpy as np

from aggregator.stores import Row
from aggregator.stores.history import Intake
from aggregator.stores.history.pieces import cut, origin, words
from protos.batch import Batch, Block, Key, Priority, Text
from protos.clock import Anchor

NS = 1_000_000_000
HOUR = 3600 * NS
NOON = 1_767_268_800 * NS  # 2026-01-01 12:00 UTC


def block(
    device: str, points: Sequence[str], times_ns: Sequence[int], values: object, codes: object = 0, delay_ns: int = 0
) -> Block:
    """`values`, `codes` broadcast to (T, P); monotonic time is UTC here unless the row says otherwise."""
    source = np.array(times_ns, np.int64)
    shape = (len(times_ns), len(points))
    numbers = np.broadcast_to(np.array(values, np.float64), shape).copy()
    flags = np.broadcast_to(np.array(codes, np.uint8), shape).copy()
    return Block(device, tuple(points), source + delay_ns, source, numbers, flags)


def batch(gateway: str, epoch: int, sequence: int, blocks: Sequence[Block], texts: Sequence[Text] = ()) -> Batch:
    anchor = Anchor(bytes(16), 0, 0, "aggregator")
    return Batch(Key(gateway, epoch, sequence), Priority.TELEMETRY, anchor, tuple(blocks), tuple(texts))


def row(position: int, one: Batch, received_ns: int = NOON, offset_ns: int = 0, error_ns: int = 0) -> Row:
    readings = sum(each.values.size for each in one.blocks) + len(one.texts)
    key = one.key
    return Row(position, key.gateway, key.epoch, key.sequence, received_ns, offset_ns, error_ns, readings, b"")


def intake(*rows: tuple[Row, Batch]) -> Intake:
    return Intake(
        [origin(one) for one, _ in rows],
        [piece for one, content in rows for piece in cut(one, content)],
        [text for one, content in rows for text in words(one, content)],
    )
