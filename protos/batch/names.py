"""Names in a batch: each list of points once, however many devices have it; NUL between names, STX between lists."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from protos.batch.header import Damaged
from protos.batch.samples import Block

BETWEEN, LISTS = "\0", "\x02"
REMEMBERED_BYTES_MAX = 16 << 10  # a gateway's names; longer ones are read anew each time
REMEMBERED_MAX = 512  # gateways, or shapes of their batches; some 10 kB each
Points = tuple[str, ...]


def check_names(blocks: Sequence[Block]) -> None:
    """Raises ValueError for a name or a shape that a batch cannot hold."""
    for block in blocks:
        rows, width = len(block.receive_ns), len(block.points)
        if wrong := wrong_name(block.device, block.points):
            raise ValueError(f"name {wrong[0]!r} of device {block.device!r}: empty, or with a NUL or STX in it")
        if not rows or not width:
            raise ValueError(f"block of device {block.device!r}: {rows} rows of {width} points")


@lru_cache(maxsize=REMEMBERED_MAX)
def wrong_name(device: str, points: Points) -> list[str]:
    """The names that a batch cannot hold."""
    return [name for name in (device, *points) if not name or BETWEEN in name or LISTS in name]


def write_names(devices: Sequence[str], points: Sequence[Points]) -> bytes:
    lists = {names: place for place, names in enumerate(dict.fromkeys(points))}
    which = np.array([lists[names] for names in points], np.uint32)
    words = LISTS.join((BETWEEN.join(devices), *map(BETWEEN.join, lists))).encode()
    return words + LISTS.encode() + which.tobytes()


def parse_names(section: bytes, blocks: int) -> tuple[tuple[str, ...], tuple[Points, ...]]:
    """Device and points of each block. Raises Damaged."""
    if not blocks:
        return (), ()
    which = np.frombuffer(section[max(0, len(section) - 4 * blocks) :], np.uint8)
    if len(which) != 4 * blocks:
        raise Damaged("names cut short")
    try:
        words = section[: -4 * blocks].decode()
    except UnicodeDecodeError as error:
        raise Damaged(f"names: {error}") from error
    first, *lists = words.split(LISTS)
    devices = tuple(first.split(BETWEEN))
    layouts = [tuple(one.split(BETWEEN)) for one in lists[:-1]]
    places = which.view(np.uint32)
    if len(devices) != blocks or not layouts or int(places.max()) >= len(layouts):
        raise Damaged(f"names of {len(devices)} devices and {len(layouts)} lists of points for {blocks} blocks")
    return devices, tuple([layouts[place] for place in places.tolist()])


@lru_cache(maxsize=REMEMBERED_MAX)
def _remembered(section: bytes, blocks: int) -> tuple[tuple[str, ...], tuple[Points, ...]]:
    return parse_names(section, blocks)


def read_names(section: bytes, blocks: int) -> tuple[tuple[str, ...], tuple[Points, ...]]:
    """As `parse_names`; batches of one shape share their tuples. Raises Damaged."""
    return (_remembered if len(section) <= REMEMBERED_BYTES_MAX else parse_names)(section, blocks)
