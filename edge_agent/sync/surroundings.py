"""What a session works with, and what outlives it."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from edge_agent.sync.priors import Priors
from edge_agent.sync.session import Counts
from edge_agent.sync.settings import Settings
from edge_agent.sync.store import Buffer
from edge_agent.sync.trusted import TrustedTime
from edge_agent.sync.vouching import Vouching
from protos import sync_pb2 as pb
from protos import telemetry_pb2 as telemetry
from protos.clock import Clock

SOFTWARE = "0.1.0"
OUTBOX_MAX = 1000  # receipts and the like while the link is slow; the oldest goes first

Command: TypeAlias = pb.Order | pb.RevokeOrders | pb.DesiredState


@dataclass(slots=True)
class Surroundings:
    """The gateway around its link."""

    gateway: str
    settings: Settings
    buffer: Buffer
    time: TrustedTime
    clock: Clock
    catalogue: telemetry.Catalogue
    on_order: Callable[[Command], None]
    status: Callable[[], pb.Status]
    counts: Counts
    priors: Priors
    witness: Vouching | None  # of the aggregator's ledger
    outbox: "deque[pb.FromGateway]"  # what others want said; survives the session
    epoch_floor: int = 0  # epochs below it may have been used by an earlier life of this gateway
