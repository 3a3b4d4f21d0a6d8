"""What the face may touch of the aggregator: connections to the stores, each opened for one request; and what lives in
the server, which is read only."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from aggregator.access.doors import Doors
from aggregator.access.throttle import Throttle
from aggregator.config import Config
from aggregator.ingest.streams import Streams
from aggregator.projections.fleet import Fleet
from aggregator.stores.access import AccessStore
from aggregator.stores.catalogue import Catalogue
from protos.clock import Clock

if TYPE_CHECKING:
    from aggregator.projections.city import CityProjection


@dataclass(frozen=True, slots=True)
class Parts:
    """`city` is None where there is none. A connection belongs to the thread that opened it: that takes 0.2 ms."""

    config: Config
    clock: Clock
    fleet: Fleet
    streams: Streams
    city: "CityProjection | None" = None
    throttle: Throttle = field(default_factory=Throttle)

    @contextmanager
    def catalogue(self) -> Iterator[Catalogue]:
        with closing(Catalogue(self.config.catalogue)) as one:
            yield one

    @contextmanager
    def doors(self) -> Iterator[Doors]:
        with closing(AccessStore(self.config.access)) as store:
            yield Doors(store, self.note, self.clock, self.throttle)

    def note(self, actor: str, act: str, subject: str, detail: str = "") -> None:
        """Into the audit, and so into the ledger."""
        with self.catalogue() as catalogue:
            catalogue.note(self.clock.wall_ns(), actor, act, subject, detail)
