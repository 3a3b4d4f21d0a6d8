"""What the face may touch of the aggregator: its own connections to the stores, and what lives in the server."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from aggregator.config import Config
from aggregator.ingest.streams import Streams
from aggregator.projections.fleet import Fleet
from aggregator.stores.catalogue import Catalogue
from protos.clock import Clock

if TYPE_CHECKING:
    from aggregator.projections.city import CityProjection


@dataclass(frozen=True, slots=True)
class Parts:
    """`catalogue` is a connection of its own, for audit and wishes; `city` is None where there is none."""

    config: Config
    clock: Clock
    catalogue: Catalogue
    fleet: Fleet
    streams: Streams
    city: "CityProjection | None" = None
