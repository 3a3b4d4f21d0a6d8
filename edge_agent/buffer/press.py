"""From frames to the rows of batches: numbered, encoded, cut where they are very many."""

import logging
from collections.abc import Sequence

from edge_agent.buffer.gather import gather, pieces, readings_in
from edge_agent.buffer.store import Fresh
from edge_agent.buffer.stored import Row, number_of
from edge_agent.image import Frame
from protos.batch import Encoder, Key, Priority
from protos.clock import Anchor

log = logging.getLogger(__name__)


class Press:
    """Encodes the batches of one gateway. For one thread."""

    def __init__(self, gateway: str) -> None:
        self._gateway = gateway
        self._encoder = Encoder()
        self.unfit = 0  # readings of the last call that no batch can hold

    def encode(
        self, frames: Sequence[Frame], after: tuple[int, int], priority: Priority, anchor: Anchor, now_ns: int
    ) -> list[Fresh]:
        """The batches that follow the key `after`; `now_ns` is monotonic."""
        self.unfit = 0
        epoch, sequence = after
        utc_ns = anchor.utc_ns(now_ns) if anchor.source != "none" else 0
        fresh: list[Fresh] = []
        for piece in pieces(frames):
            count = sum(map(readings_in, piece))
            key = Key(self._gateway, epoch, sequence + 1)
            try:
                blob = self._encoder.encode(gather(key, priority, anchor, piece))
            except ValueError as error:  # told once and counted: asked again it would fail again
                log.error("buffer: %d readings fit into no batch: %s", count, error)
                self.unfit += count
                continue
            sequence += 1
            fresh.append(Fresh(Row(number_of(epoch, sequence), int(priority), count, utc_ns, len(blob)), blob))
        return fresh
