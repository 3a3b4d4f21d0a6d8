"""Readings as columns: what batches turn into for people and for other programs."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase

import numpy as np

from edge_agent.buffer import Stored
from protos.batch import Block, decode
from protos.batch.samples import Text
from protos.clock import Anchor
from protos.quality import Quality, Reason

NAMES = ("device", "point", "epoch", "sequence", "source_time", "receive_time", "value", "quality", "reason", "text")
QUALITIES = np.array([Quality(n).name if n in Quality._value2member_map_ else str(n) for n in range(4)], object)
REASONS = np.array([Reason(n).name if n in Reason._value2member_map_ else str(n) for n in range(64)], object)
Sheet = dict[str, np.ndarray]  # name → (N,); times are UTC in ns, NaT where UTC was not known


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which readings: patterns of `device/point` (none: all) and a span of UTC by receive time, end excluded."""

    points: tuple[str, ...] = ()
    since_ns: int = 0
    until_ns: int = 1 << 62

    def has(self, device: str, point: str) -> bool:
        name = f"{device}/{point}"
        return not self.points or any(fnmatchcase(name, pattern) for pattern in self.points)


def sheets(stored: Stored, wanted: Wanted) -> Iterator[Sheet]:
    """The wanted readings of one batch, a sheet for each point of each block. Raises BatchError for a damaged one."""
    batch = decode(stored.blob)
    utc = utc_by(batch.anchor)
    for block in batch.blocks:
        yield from of_block(stored, block, utc, wanted)
    texts = [text for text in batch.texts if wanted.has(text.device, text.point)]
    texts = [text for text in texts if wanted.since_ns <= batch.anchor.utc_ns(text.receive_ns) < wanted.until_ns]
    if texts:
        yield of_texts(stored, texts, utc)


def utc_by(anchor: Anchor) -> Callable[[np.ndarray], np.ndarray]:
    """Monotonic ns → UTC."""

    def utc(times: np.ndarray) -> np.ndarray:
        if anchor.source == "none":
            return np.full(len(times), "NaT", "datetime64[ns]")
        return (times + anchor.offset_ns).astype("datetime64[ns]")

    return utc


def of_block(stored: Stored, block: Block, utc: Callable[[np.ndarray], np.ndarray], wanted: Wanted) -> Iterator[Sheet]:
    columns = [at for at, point in enumerate(block.points) if wanted.has(block.device, point)]
    received = utc(block.receive_ns)
    ns = received.astype(np.int64)
    rows = np.isnat(received) | ((ns >= wanted.since_ns) & (ns < wanted.until_ns))
    if not columns or not rows.any():
        return
    source, received = utc(block.source_ns)[rows], received[rows]
    for at in columns:
        codes = block.codes[rows, at]
        yield sheet(stored, block.device, block.points[at], source, received, block.values[rows, at], codes)


def sheet(
    stored: Stored,
    device: str,
    point: str,
    source: np.ndarray,
    received: np.ndarray,
    values: np.ndarray,
    codes: np.ndarray,
) -> Sheet:
    count = len(values)
    return {
        "device": np.full(count, device, object),
        "point": np.full(count, point, object),
        "epoch": np.full(count, stored.epoch),
        "sequence": np.full(count, stored.sequence),
        "source_time": source,
        "receive_time": received,
        "value": values,
        "quality": QUALITIES[codes >> 6],
        "reason": REASONS[codes & 0x3F],
        "text": np.full(count, None, object),
    }


def of_texts(stored: Stored, texts: list[Text], utc: Callable[[np.ndarray], np.ndarray]) -> Sheet:
    source = utc(np.array([text.source_ns for text in texts], np.int64))
    received = utc(np.array([text.receive_ns for text in texts], np.int64))
    codes = np.array([text.code for text in texts], np.uint8)
    made = sheet(stored, "", "", source, received, np.full(len(texts), np.nan), codes)
    for name, values in (
        ("device", [text.device for text in texts]),
        ("point", [text.point for text in texts]),
        ("text", [text.value for text in texts]),
    ):
        made[name][:] = values
    return made
