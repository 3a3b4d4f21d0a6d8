"""All live streams: one per gateway, the newest wins; beats, dead ones found, revoked ones cut. No IO."""

from collections.abc import Callable, Iterator

from aggregator.ingest.line import Line
from protos import sync_pb2
from protos.link import HEARTBEAT_MS

MS = 1_000_000
BEAT_NS = HEARTBEAT_MS * MS  # how often `beat` is called
HANG_UP_BEATS = 2  # after the last message; also the longest that a revoked gateway can keep its stream


class Streams:
    def __init__(self, most: int) -> None:
        self._most = most
        self._lines: dict[str, Line] = {}
        self._beats = 0
        self.checkpoint = 0  # history is durable up to this log position

    def __len__(self) -> int:
        return len(self._lines)

    def __iter__(self) -> Iterator[Line]:
        return iter(list(self._lines.values()))

    def join(self, line: Line) -> bool:
        """False when there is no room. An older stream of the same gateway ends: it reconnected before we noticed."""
        older = self._lines.get(line.gateway)
        if older is None and len(self._lines) >= self._most:
            return False
        if older is not None:
            older.end("replaced by a newer stream of the same gateway")
        self._lines[line.gateway] = line
        return True

    def leave(self, line: Line) -> None:
        if self._lines.get(line.gateway) is line:
            del self._lines[line.gateway]

    def is_current(self, line: Line) -> bool:
        return self._lines.get(line.gateway) is line

    def settle(self, checkpoint: int) -> None:
        """History moved on: tell each gateway what it may forget."""
        self.checkpoint = max(self.checkpoint, checkpoint)
        for line in self:
            line.settle(self.checkpoint)

    def beat(self, monotonic_ns: int, utc_ns: int) -> None:
        """Once every BEAT_NS: speak to those that heard nothing for one, give up those that said nothing for long."""
        self._beats += 1
        for line in self:
            if line.end_reason is not None:
                self._hang_up(line)
            elif not line.throttled and monotonic_ns - line.heard_ns > line.dead_after_ns:
                line.end(f"silent for {line.dead_after_ns // MS} ms")
            elif monotonic_ns - line.spoke_ns >= line.heartbeat_ns:
                line.beat(sync_pb2.Heartbeat(utc_ns=utc_ns, count=self._beats))

    def _hang_up(self, line: Line) -> None:
        """It was told to end and does not take the last message: end it without."""
        line.beats_since_end += 1
        if line.beats_since_end >= HANG_UP_BEATS and line.writer is not None:
            line.writer.cancel()

    def cut(self, ended: Callable[[Line], str]) -> list[tuple[str, str]]:
        """End the streams for which `ended` gives a reason; returns (gateway, reason) of each."""
        cut = [(line.gateway, why) for line in self if line.end_reason is None and (why := ended(line))]
        for gateway, why in cut:
            self._lines[gateway].end(why, final=True)
        return cut

    def end_all(self, reason: str) -> None:
        for line in self:
            line.end(reason)
