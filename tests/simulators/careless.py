"""A gateway that breaks its promise: what it has written to the link it takes for stored. For negative controls only.

It also is deaf to the aggregator's asking for what is missing, which would heal the loss.

    python -m tests.simulators.careless GATEWAY.toml
"""

import sys
from collections.abc import Iterable

from edge_agent.cli import main
from edge_agent.sync.sender import Sender
from edge_agent.sync.session import Session
from edge_agent.sync.store import Stored
from protos import sync_pb2 as pb
from protos.span import Span, ranges

careful = Sender._batch


async def carelessly(self: Sender, one: Stored, *, live: bool) -> None:
    await careful(self, one, live=live)
    ack = pb.Ack(stored=ranges([Span(one.epoch, one.sequence, one.sequence)]))
    self._judge(self._session.ack(ack, self._a.clock.monotonic_ns()))


def deaf(self: Session, spans: Iterable[Span]) -> None:
    pass


if __name__ == "__main__":
    Sender._batch = carelessly  # type: ignore[method-assign]
    Session.ask = deaf  # type: ignore[method-assign]
    sys.exit(main(["run", *sys.argv[1:]]))
