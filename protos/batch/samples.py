"""What is in a batch: blocks of numbers and single strings of one gateway, under one key."""

from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from protos.clock import Anchor

Floats = npt.NDArray[np.float64]
Times = npt.NDArray[np.int64]
Codes = npt.NDArray[np.uint8]


class Priority(IntEnum):
    """What goes first when the disk is full: the lowest, oldest first. (DESIGN calls it the class of a batch.)"""

    TELEMETRY = 0
    EVENT = 1
    ALARM = 2
    AUDIT = 3


@dataclass(frozen=True, slots=True, order=True)
class Key:
    gateway: str
    epoch: int
    sequence: int


@dataclass(frozen=True, slots=True)
class Block:
    """T rows of P points of one device, read together; T ≥ 1, P ≥ 1. Times are monotonic ns of the batch's boot.

    `source_ns` is what the device said mapped to this gateway's monotonic clock, or equal to `receive_ns`.
    """

    device: str
    points: tuple[str, ...]
    receive_ns: Times  # (T,)
    source_ns: Times  # (T,)
    values: Floats  # (T, P)
    codes: Codes  # (T, P), protos/quality.py


@dataclass(frozen=True, slots=True)
class Text:
    """One sample whose value is a string: a serial number, a state in words."""

    device: str
    point: str
    receive_ns: int
    source_ns: int
    code: int
    value: str


@dataclass(frozen=True, slots=True)
class Batch:
    key: Key
    priority: Priority
    anchor: Anchor  # what the gateway knew of UTC when it wrote the batch
    blocks: tuple[Block, ...]
    texts: tuple[Text, ...] = field(default=())
