"""The words that all edge parts share: layouts, frames and the process image.

A source turns each answer of a device into one `Frame`: a vector of values for the points of a `Layout`, with one
receive time. Frames are cleaned, written into the `Image` and buffered; nothing ever becomes a dict per sample.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import isfinite
from typing import Protocol

import numpy as np
import numpy.typing as npt

from protos.quality import Quality, Reason, code, reason

Floats = npt.NDArray[np.float64]
Singles = npt.NDArray[np.float32]
Times = npt.NDArray[np.int64]
Codes = npt.NDArray[np.uint8]

UNCERTAIN_LAST = code(Quality.BAD) - 1  # the largest code that is not BAD
NO_VALUES: Floats = np.zeros(0)
NEVER = code(Quality.BAD, Reason.NO_ANSWER)  # the code of a point that has not been read since the start
TRUSTED = (code(Quality.GOOD), code(Quality.UNCERTAIN, Reason.ESTIMATED), code(Quality.UNCERTAIN, Reason.CLOCK))


@dataclass(frozen=True, eq=False, slots=True)
class Layout:
    """Points of one device that are always read together. Identity is the object: build it once, at start."""

    device: str
    points: tuple[str, ...]
    start: int = 0  # index of the first point in the image; points are contiguous there
    span: slice = field(init=False, repr=False)  # of its points in the image

    def __post_init__(self) -> None:
        object.__setattr__(self, "span", slice(self.start, self.start + len(self.points)))


class Decoding(Protocol):
    """Makes values of what a device answered. Many answers cost hardly more than one, so frames may wait for others."""

    def decode_all(self, payloads: Sequence[bytes], /) -> tuple[Floats, Codes | None]:
        """Values (T, P) and codes (T, P) of T payloads; None when all are GOOD."""


class Frame:
    """One reading of a layout: values in internal units, a code per value, one receive time.

    `values` float64 (P,), `codes` uint8 (P,) or None when all are GOOD, times monotonic ns of this boot.
    `texts` are (point, string) pairs for string points, which are not in the layout.
    `committed` is called on the event loop once the frame is durable (an MQTT source acknowledges there).
    `values` may be given as an answer still to be decoded: done for many frames at once by `open_all`, else by the
    first look at `values` or `codes`, so that nobody needs to know.
    """

    __slots__ = ("_answer", "_codes", "_values", "committed", "layout", "receive_ns", "source_ns", "texts")

    def __init__(
        self,
        layout: Layout,
        receive_ns: int,
        source_ns: int,
        values: "Floats | tuple[bytes, Decoding]",
        codes: Codes | None = None,
        texts: Sequence[tuple[str, str]] = (),
        committed: Callable[[], None] | None = None,
    ) -> None:
        self.layout = layout
        self.receive_ns = receive_ns
        self.source_ns = source_ns
        self._answer = values if isinstance(values, tuple) else None
        self._values = NO_VALUES if isinstance(values, tuple) else values
        self._codes = codes
        self.texts = texts
        self.committed = committed

    @property
    def values(self) -> Floats:
        if self._answer is not None:
            open_all((self,))
        return self._values

    @property
    def codes(self) -> Codes | None:
        if self._answer is not None:
            open_all((self,))
        return self._codes

    @codes.setter
    def codes(self, codes: Codes | None) -> None:
        if self._answer is not None:
            open_all((self,))
        self._codes = codes

    @property
    def answer(self) -> tuple[bytes, Decoding] | None:
        """What the device answered and who decodes it, until that is done."""
        return self._answer

    def open(self, values: Floats, codes: Codes | None) -> None:
        """Take what its answer was decoded to."""
        self._values, self._codes, self._answer = values, codes, None


def open_all(frames: Sequence[Frame]) -> None:
    """Decode what still waits for it, answers of one form together."""
    waiting: dict[Decoding, list[tuple[Frame, bytes]]] = {}
    for frame in frames:
        if frame.answer is not None:
            payload, decoding = frame.answer
            waiting.setdefault(decoding, []).append((frame, payload))
    for decoding, some in waiting.items():
        values, codes = decoding.decode_all([payload for _, payload in some])
        for row, (frame, _) in enumerate(some):
            frame.open(values[row], codes[row] if codes is not None and codes[row].any() else None)


def historical(codes: Codes) -> bool:
    return bool((reason(codes) == Reason.HISTORICAL).any())


Emit = Callable[[Frame], None]


@dataclass(eq=False, slots=True)
class Image:
    """The process image: the newest cleaned sample of every point, as arrays indexed like the layouts' spans."""

    names: tuple[str, ...]  # device/point, by index
    values: Floats = field(init=False)
    codes: Codes = field(init=False)
    source_ns: Times = field(init=False)
    receive_ns: Times = field(init=False)

    def __post_init__(self) -> None:
        count = len(self.names)
        self.values = np.full(count, np.nan)
        self.codes = np.full(count, NEVER, np.uint8)
        self.source_ns = np.zeros(count, np.int64)
        self.receive_ns = np.zeros(count, np.int64)

    def freeze(self, now_ns: int, utc_ns: int | None = None) -> "View":
        """A copy that nothing changes any more."""
        return View(now_ns, self.values.copy(), self.codes.copy(), now_ns - self.receive_ns, utc_ns)

    def take(self, frame: Frame) -> None:
        """Show `frame`, unless it is history that the device sent from its own store and something newer is shown."""
        span, codes = frame.layout.span, frame.codes
        if codes is not None and frame.source_ns < self.source_ns[span].max() and historical(codes):
            return
        self.values[span] = frame.values
        self.codes[span] = 0 if codes is None else codes
        self.source_ns[span] = frame.source_ns
        self.receive_ns[span] = frame.receive_ns


@dataclass(frozen=True, eq=False, slots=True)
class View:
    """The process image frozen for one tick: all that the tick decides rests on it. Arrays (P,)."""

    now_ns: int
    values: Floats
    codes: Codes
    age_ns: Times  # since each value was received; huge for what never was
    utc_ns: int | None = None  # of `now_ns`, from the anchor; None while nobody trustworthy has said what time it is

    def usable(self, place: int, stale_ns: int, uncertain: bool = True) -> bool:
        """Fresh, finite and not BAD; with `uncertain=False` only GOOD."""
        worst = UNCERTAIN_LAST if uncertain else 0
        return bool(self.codes[place] <= worst and self.age_ns[place] <= stale_ns and np.isfinite(self.values[place]))

    def trusted(self, place: int, stale_ns: int) -> bool:
        """Usable without doubt about the value: GOOD, a twin's estimate, or only its time is in doubt."""
        known = int(self.codes[place]) in TRUSTED and self.age_ns[place] <= stale_ns
        return bool(known and isfinite(self.values[place]))

    def take(self, frame: Frame) -> None:
        """Show what the tick itself has found, a twin's estimate, to what is decided after it."""
        span = frame.layout.span
        self.values[span] = frame.values
        self.codes[span] = 0 if frame.codes is None else frame.codes
        self.age_ns[span] = 0


def lay_out(layouts: Sequence[tuple[str, tuple[str, ...]]]) -> tuple[list[Layout], Image]:
    """Give each (device, points) its place in one image."""
    placed: list[Layout] = []
    names: list[str] = []
    for device, points in layouts:
        placed.append(Layout(device, points, len(names)))
        names.extend(f"{device}/{point}" for point in points)
    return placed, Image(tuple(names))
