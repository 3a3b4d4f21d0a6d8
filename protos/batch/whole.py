"""Whole numbers as few bytes: zigzag, then the bytes of equal weight side by side, the empty high ones left out.

A run is one byte that says how many bytes each number has (0 to 8), then that many lanes of N bytes. Arithmetic is
modulo 2**64, so every int64 comes back as it was.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from protos.batch.header import Damaged

Ints = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]
ONE = np.uint64(1)


def pack(numbers: Ints) -> bytes:
    """A run of `numbers` int64 (N,)."""
    if not len(numbers):
        return b"\0"
    zigzag = ((numbers << 1) ^ (numbers >> 63)).view(np.uint64)
    width = (int(zigzag.max()).bit_length() + 7) // 8
    lanes = zigzag.view(np.uint8).reshape(-1, 8)[:, :width]
    return bytes((width,)) + lanes.T.tobytes()


@dataclass(slots=True)
class Reader:
    """Takes piece after piece from a body; never beyond its end. Raises Damaged."""

    data: bytes
    at: int = 0

    def left(self) -> int:
        return len(self.data) - self.at

    def take(self, size: int) -> bytes:
        at = self.at
        if size < 0 or size > len(self.data) - at:
            raise Damaged(f"body ends {size - len(self.data) + at} bytes too early")
        self.at = at + size
        return self.data[at : at + size]

    def array(self, count: int, kind: type[np.generic]) -> npt.NDArray[np.generic]:
        return np.frombuffer(self.take(count * np.dtype(kind).itemsize), kind)

    def octets(self, count: int) -> Bytes:
        return np.frombuffer(self.take(count), np.uint8)

    def run(self, count: int) -> Ints:
        """The `count` numbers of a run; its memory is bounded by the caller's bound on `count`."""
        width = self.take(1)[0]
        if width > 8:
            raise Damaged(f"numbers of {width} bytes")
        if width == 1:
            zigzag = self.octets(count).astype(np.uint64)
        else:
            lanes = np.zeros((count, 8), np.uint8)
            lanes[:, :width] = self.octets(count * width).reshape(width, count).T
            zigzag = lanes.view(np.uint64).reshape(count)
        signs = (zigzag & ONE).view(np.int64)
        zigzag >>= ONE
        numbers = zigzag.view(np.int64)
        numbers ^= np.negative(signs, out=signs)
        return numbers
