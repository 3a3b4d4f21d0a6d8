"""The time that may be believed: the aggregator's, the kernel's where it is synchronised, and else none.

A file in the state directory remembers two things: what this boot learned (so that a restarted agent knows it at
once), and the latest time ever believed. A wall clock behind that floor is wrong for certain. Signed or authenticated
time may go below the floor: a floor that was set by a wrong aggregator must not lock the gateway out for ever.
"""

import json
import logging
from collections.abc import Callable
from pathlib import Path

from edge_agent.files import put_whole, seal, unseal
from edge_agent.sync.anchor import Estimate, Estimator
from edge_agent.sync.ntp import Reading
from edge_agent.sync.ntp import read as read_kernel
from protos.clock import NS, Anchor, Clock

UNKNOWN_NS = 10 * 365 * 86_400 * NS  # the error bound of a wall clock nobody vouches for
FLOOR_EVERY_NS = 600 * NS  # how often the floor is written: a wear of 144 small writes a day
SKEW_NS = 60 * NS  # a wall clock this near to the believed time may check certificates by itself
PLAY_NS = NS  # the two are read within microseconds of each other, a second apart at most on a machine in trouble

log = logging.getLogger(__name__)


class TrustedTime:
    """`path` is the file that remembers; `ask_kernel` tells whether the wall clock is synchronised."""

    def __init__(self, path: Path, clock: Clock, ask_kernel: Callable[[], Reading | None] = read_kernel) -> None:
        self._path, self._clock, self._ask_kernel = path, clock, ask_kernel
        self.floor_ns, known = self._load()
        self.estimator = Estimator(clock.boot_id, known)
        self._written_ns: int | None = None

    def anchor(self) -> Anchor:
        """The best known now. Its error is `UNKNOWN_NS` where nobody vouches for the time.

        The kernel counts where it knows better than the aggregator told us, and does not contradict it.
        """
        now, wall = self._clock.monotonic_ns(), self._clock.wall_ns()
        told, kernel = self.estimator.best, self._ask_kernel()
        # a wall clock that is not the kernel's belongs to somebody who plays with this process's time
        if kernel is not None and wall >= self.floor_ns and abs(kernel.utc_ns - wall) < PLAY_NS:
            synced = Estimate(wall - now, kernel.error_ns, now)
            if told is None or (told.agrees(synced, now) and synced.error_ns < told.error_at(now)):
                return Anchor(self._clock.boot_id, synced.offset_ns, synced.error_ns, "ntp")
        if (anchor := self.estimator.anchor(now)) is not None:
            return anchor
        source = "wall" if wall >= self.floor_ns else "none"
        return Anchor(self._clock.boot_id, wall - now, UNKNOWN_NS, source)

    def utc_ns(self) -> int:
        """The best known UTC; never below the floor while nobody vouches for the time."""
        anchor = self.anchor()
        utc = anchor.utc_ns(self._clock.monotonic_ns())
        return utc if anchor.error_ns < UNKNOWN_NS else max(utc, self.floor_ns)

    @property
    def sure(self) -> bool:
        """Whether anybody vouches for the time."""
        return self.anchor().error_ns < UNKNOWN_NS

    @property
    def wall_is_right(self) -> bool:
        """Whether the machine's own clock may decide on certificates: near the believed time, or not known wrong."""
        return abs(self._clock.wall_ns() - self.utc_ns()) <= SKEW_NS

    def echo(self, sent_ns: int, utc_ns: int, received_ns: int) -> bool:
        """An answer of the authenticated aggregator; True when the estimate changed. Saved now and then."""
        changed = self.estimator.echo(sent_ns, utc_ns, received_ns)
        if self._written_ns is None or received_ns - self._written_ns >= FLOOR_EVERY_NS:
            self.save()
        return changed

    def signed(self, sent_ns: int, utc_ns: int, received_ns: int) -> None:
        """An answer that the authority signed for our question: believed over all that was known before."""
        self.estimator.forget()
        self.estimator.echo(sent_ns, utc_ns, received_ns)
        self.save()

    def save(self) -> None:
        """Remember. A disk that takes nothing is no reason to lose the link: said, and tried again later."""
        now, best = self._clock.monotonic_ns(), self.estimator.best
        self._written_ns = now
        if best is None:
            return
        self.floor_ns = now + best.offset_ns - best.error_at(now)
        known = {
            "floor_utc_ns": self.floor_ns,
            "boot_id": self._clock.boot_id.hex(),
            "offset_ns": best.offset_ns,
            "error_ns": best.error_ns,
            "at_ns": best.at_ns,
        }
        try:
            put_whole(self._path, seal(json.dumps(known).encode()))
        except OSError as error:
            log.warning("%s: time not remembered: %s", self._path, error)

    def _load(self) -> tuple[int, Estimate | None]:
        """(floor, what this boot knew already). A damaged file is as good as none: it only speeds things up."""
        try:
            known = json.loads(unseal(self._path.read_bytes()))
            floor = int(known["floor_utc_ns"])
            if known["boot_id"] != self._clock.boot_id.hex():
                return floor, None
            return floor, Estimate(int(known["offset_ns"]), int(known["error_ns"]), int(known["at_ns"]))
        except FileNotFoundError:
            return 0, None
        except (OSError, ValueError, KeyError, TypeError) as error:
            log.warning("%s: not readable, begun anew: %s", self._path, error)
            return 0, None
