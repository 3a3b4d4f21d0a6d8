"""The write-ahead log, checked before SQLite opens it: SQLite ends silently at the first damaged frame.

Checksums after sqlite.org/fileformat2.html, section 4.2; they are linear, so a whole log is checked by one matrix
product. Every commit is synced before the next begins, so power that goes leaves at most one incomplete commit behind
the sound part. More than that is damage: commits that were acknowledged, and that SQLite would forget.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

HEAD, FRAME_HEAD = 32, 24
MAGIC = {0x377F0682: "<u4", 0x377F0683: ">u4"}  # first word → byte order of the words that are summed
Words = npt.NDArray[np.uint32]


@dataclass(frozen=True, slots=True)
class LogState:
    """`sound` frames; behind them commits of the same log that a reader would ignore."""

    sound: int = 0
    commits_beyond: int = 0
    head_damaged: bool = False

    @property
    def torn(self) -> bool:
        """One incomplete commit: never acknowledged, unless the disk lost what it had promised."""
        return self.commits_beyond == 1 and not self.head_damaged

    @property
    def damaged(self) -> bool:
        return self.commits_beyond > 1 or self.head_damaged


def powers(count: int) -> Words:
    """(count + 1, 2, 2): the powers of the checksum's matrix, modulo 2**32."""
    result = np.empty((count + 1, 2, 2), np.uint32)
    result[0] = np.eye(2, dtype=np.uint32)
    step = np.array([[1, 1], [1, 2]], np.uint32)
    for at in range(count):
        result[at + 1] = step @ result[at]
    return result


def sums(words: Words, power: Words) -> Words:
    """(N, 2): what each row of `words` (N, 2 n) adds to the checksum beside power[n] times the one before."""
    left = words[:, 0::2]
    right = left + words[:, 1::2]
    order = power[left.shape[1] - 1 :: -1]
    zero = left @ order[:, 0, 0] + right @ order[:, 0, 1]
    one = left @ order[:, 1, 0] + right @ order[:, 1, 1]
    return np.stack([zero, one], axis=1).astype(np.uint32)


def inspect(database: Path, page: int) -> LogState:
    """Check the log beside `database`; a missing or empty one is sound."""
    path = Path(f"{database}-wal")
    data = path.read_bytes() if path.exists() else b""
    frame = FRAME_HEAD + page
    count = max(0, (len(data) - HEAD) // frame)
    if not count:
        return LogState()
    head = np.frombuffer(data, ">u4", HEAD // 4)
    frames = np.frombuffer(data, np.uint8, count * frame, HEAD).reshape(count, frame)
    marks = np.ascontiguousarray(frames[:, :FRAME_HEAD]).view(">u4")
    order = MAGIC.get(int(head[0]))
    used = (marks[:, 2:4] == head[4:6]).all(axis=1) & (marks[:, 0] > 0)
    if order is None or int(head[2]) != page or not head_sound(data, order):
        alive = (marks[:, 0] > 0) & (marks[:, 2:4] == marks[0, 2:4]).all(axis=1)
        return LogState(head_damaged=bool(alive.any()))
    sound = sound_frames(frames, marks, used, order, head)
    beyond = used[sound:] & (marks[sound:, 1] > 0)
    return LogState(sound, int(beyond.sum()))


def head_sound(data: bytes, order: str) -> bool:
    words = np.frombuffer(data, order, 6).astype(np.uint32).reshape(1, 6)
    said = np.frombuffer(data, ">u4", 2, 24)
    return bool((sums(words, powers(3))[0] == said).all())


def sound_frames(
    frames: npt.NDArray[np.uint8], marks: npt.NDArray[np.uint32], used: npt.NDArray[np.bool_], order: str, head: Words
) -> int:
    """How many frames from the start are sound, up to the last commit among them."""
    summed = np.hstack([frames[:, :8], frames[:, FRAME_HEAD:]])
    words = np.ascontiguousarray(summed).view(order).astype(np.uint32)
    power = powers(words.shape[1] // 2)
    adds, whole = sums(words, power), power[-1]
    before = head[6:8].astype(np.uint32)
    committed = 0
    for at in range(len(frames)):
        before = whole @ before + adds[at]
        if not used[at] or (before != marks[at, 4:6]).any():
            break
        if marks[at, 1]:
            committed = at + 1
    return committed
