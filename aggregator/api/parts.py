"""What the face may touch of the aggregator: connections to the stores, each opened for one request; and what lives in
the server, which is read only."""

import json
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import TYPE_CHECKING

from anyio import CapacityLimiter

from aggregator.access.doors import Doors
from aggregator.access.settings import address
from aggregator.access.throttle import Throttle
from aggregator.api.atlas import Atlas
from aggregator.api.items import ns_of
from aggregator.api.laboratory import Laboratory
from aggregator.api.problem import Fault, Invalid, Unknown
from aggregator.config import Config
from aggregator.ingest.streams import Streams
from aggregator.projections.fleet import Fleet
from aggregator.projections.latest import Latest, Sample
from aggregator.projections.query import Query
from aggregator.stores import Log, StoreError
from aggregator.stores.access import AccessStore
from aggregator.stores.catalogue import Catalogue
from aggregator.stores.city import CityStore
from aggregator.stores.history import PointName, Window
from aggregator.stores.history.downsampling import Buckets
from aggregator.stores.scenarios import Scenarios
from protos.clock import Clock

if TYPE_CHECKING:
    from aggregator.access.oidc import RelyingParty
    from aggregator.projections.city import CityProjection


@dataclass(frozen=True)
class Parts:
    """`city` is None where there is none. A connection belongs to the thread that opened it: that takes 0.2 ms."""

    config: Config
    clock: Clock
    fleet: Fleet
    streams: Streams
    log: Log
    latest: Latest
    city: "CityProjection | None" = None
    throttle: Throttle = field(default_factory=Throttle)
    hashing: CapacityLimiter = field(default_factory=partial(CapacityLimiter, 1))  # of passwords, one at a time

    @cached_property
    def relying(self) -> "RelyingParty":
        """Raises Unknown where nobody signs in elsewhere, AccessError for its files."""
        from aggregator.access.oidc import RelyingParty  # loaded where somebody does

        if not self.config.oidc.issuer:
            raise Unknown("nobody signs in elsewhere: no [oidc] in the configuration")
        return RelyingParty(self.config.oidc, f"{self.address}/api/v1/oidc/callback", self.clock)

    @property
    def address(self) -> str:
        """Of the page, as browsers are given it."""
        web = self.config.web
        listening = json.loads(self.config.endpoints.read_text())["web"] if web.listen.endswith(":0") else web.listen
        return address(web, listening)

    @cached_property
    def atlas(self) -> Atlas:
        """Raises Unknown where no city is configured."""
        if self.city is None:
            raise Unknown('no city; write [city] and file = "city.toml" in the configuration')
        return Atlas.of(self.city.city)

    @contextmanager
    def city_store(self, *, write: bool = False) -> Iterator[CityStore]:
        """Raises Unknown for what is not kept."""
        try:
            with closing(CityStore(self.config.twin, read_only=not write)) as one:
                yield one
        except StoreError as error:
            raise Unknown(str(error)) from error

    def newest(self, names: Sequence[str]) -> dict[str, Sample]:
        """The newest sample of each of these points (gateway/device/point), as the server has it in memory."""
        wanted = [PointName(*name.split("/", 2)) for name in names]
        return {str(one.point): one for one in self.latest.samples(wanted)}

    async def downsampled(self, point: PointName, window: Window, pixels: int) -> Buckets:
        """On the server's own loop: the log is its."""
        with closing(Query(self.config.history, self.log)) as query:
            return await query.downsampled(point, window, pixels)

    @cached_property
    def laboratory(self) -> Laboratory:
        return Laboratory(self.config.path)

    @contextmanager
    def scenarios(self) -> Iterator[Scenarios]:
        """Raises StoreError while none was run."""
        with closing(Scenarios(self.config.scenarios, read_only=True)) as one:
            yield one

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


def time_of(name: str, text: str) -> int | None:
    """A time of a query, UTC ns; None for none. Raises Invalid."""
    if not text:
        return None
    try:
        return ns_of(text)
    except ValueError as error:
        raise Invalid(f"{name}: {error}", [Fault(f"?{name}", "RFC 3339 with a time zone", text)]) from error
