"""From frames to batches: frames of one layout become one block of columns, in the order in which they came."""

from collections.abc import Iterator, Sequence

import numpy as np

from edge_agent.image import Codes, Frame, Layout
from protos.batch import Batch, Block, Key, Priority, Text
from protos.clock import Anchor

BATCH_READINGS_MAX = 20_000  # about 200 kB raw: small against every limit on the way, large enough to compress well


def readings_in(frame: Frame) -> int:
    return len(frame.layout.points) + len(frame.texts)


def pieces(frames: Sequence[Frame], most: int = BATCH_READINGS_MAX) -> Iterator[Sequence[Frame]]:
    """Cut `frames` into runs of at most `most` readings; a single larger frame is a run of its own."""
    begin = count = 0
    for at, frame in enumerate(frames):
        size = readings_in(frame)
        if count and count + size > most:
            yield frames[begin:at]
            begin, count = at, 0
        count += size
    if begin < len(frames):
        yield frames[begin:]


def gather(key: Key, priority: Priority, anchor: Anchor, frames: Sequence[Frame]) -> Batch:
    by_layout: dict[Layout, list[Frame]] = {}
    for frame in frames:
        by_layout.setdefault(frame.layout, []).append(frame)
    blocks = tuple(block_of(layout, some) for layout, some in by_layout.items() if layout.points)
    return Batch(key, priority, anchor, blocks, tuple(texts_of(frames)))


def block_of(layout: Layout, frames: Sequence[Frame]) -> Block:
    shape = (len(frames), len(layout.points))
    codes: Codes = np.zeros(shape, np.uint8)
    for row, frame in enumerate(frames):
        if frame.codes is not None:  # rare: no array is touched for frames that are all GOOD
            codes[row] = frame.codes
    receive_ns = np.array([frame.receive_ns for frame in frames], np.int64)
    polled = all(frame.source_ns == frame.receive_ns for frame in frames)
    return Block(
        device=layout.device,
        points=layout.points,
        receive_ns=receive_ns,
        source_ns=receive_ns if polled else np.array([frame.source_ns for frame in frames], np.int64),
        values=np.concatenate([frame.values for frame in frames]).reshape(shape),
        codes=codes,
    )


def texts_of(frames: Sequence[Frame]) -> Iterator[Text]:
    for frame in frames:
        for point, value in frame.texts:
            yield Text(frame.layout.device, point, frame.receive_ns, frame.source_ns, 0, value)
