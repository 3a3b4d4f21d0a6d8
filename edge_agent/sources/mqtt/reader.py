"""From a message to frames, without IO: who hears the topic, what it reads, how old it is."""

import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from edge_agent.image import Frame, Layout
from edge_agent.sources.mqtt.limits import PAYLOAD_MAX
from edge_agent.sources.mqtt.payloads.kind import Kind, Moment
from edge_agent.sources.mqtt.reading import BAD_PAYLOAD, OLD, Group, PayloadError, Report, Request
from edge_agent.sources.mqtt.times import EARLIEST_S
from edge_agent.sources.mqtt.topics import Topic, Topics
from protos.clock import NS

log = logging.getLogger(__name__)
OLDEST_NS = 366 * 86400 * NS  # device times further from ours than a year are no times

Reading = tuple[Group, Frame, bool]  # and whether it is news of now: not retained, historical or dead


@dataclass(eq=False)
class Reader:
    """Reads messages for the kinds of one broker. `layouts` are those that the groups were given."""

    topics: Topics
    layouts: dict[Group, Layout]
    counts: Counter[str] = field(default_factory=Counter)
    ask: Callable[[Request], None] = lambda request: None  # publish what a kind answers

    def read(self, name: str, payload: bytes, retained: bool, moment: Moment) -> list[Reading]:
        """Readings of one message, none where it says nothing to us."""
        self.counts["messages_total"] += 1
        topic = self.topics.of(name)
        if topic is None:
            self.counts["topics_refused_total"] += 1
            return []
        digest = hash(payload)
        if retained and topic.newest == digest:
            return []  # the message that we heard live, given again for our new subscription
        if not retained:
            topic.newest = digest
        if not topic.heard:
            self.counts["unrouted_total"] += 1
        readings: list[Reading] = []
        for kind, heard in topic.heard:
            readings += self._of_kind(kind, heard, name, payload, retained, moment, topic)
        return readings

    def _of_kind(
        self, kind: Kind, heard: str, name: str, payload: bytes, retained: bool, moment: Moment, topic: Topic
    ) -> list[Reading]:
        try:
            if len(payload) > PAYLOAD_MAX:
                raise PayloadError(f"has {len(payload)} bytes, the limit is {PAYLOAD_MAX}")
            reports, requests = kind.take(heard, name, payload, moment)
        except PayloadError as error:
            self._complain(topic, name, kind, error)
            # the points of a whole topic came and cannot be read; of a delta nobody knows which points came
            return [
                self._unread(group, moment)
                for group, _ in kind.slots.get(heard, ())
                if kind.whole_in(group.device, group.topic)
            ]
        for request in requests:
            self.ask(request)
        return [self._reading(report, retained, moment) for report in reports]

    def _complain(self, topic: Topic, name: str, kind: Kind, error: PayloadError) -> None:
        self.counts["payload_errors_total"] += 1
        if not topic.complained:  # once per topic: a broken device would fill the log
            topic.complained = True
            log.warning("device %s: message in %s %s", kind.device.name, name, error)

    def _unread(self, group: Group, moment: Moment) -> Reading:
        values, codes = group.blank(BAD_PAYLOAD)
        return group, Frame(self.layouts[group], moment.monotonic_ns, moment.monotonic_ns, values, codes), True

    def _reading(self, report: Report, retained: bool, moment: Moment) -> Reading:
        group = report.group
        floor = report.code or (self._age(report, moment) if retained else 0)
        values, codes = group.convert(report.raws)
        if floor:
            bad = floor >> 6 == 2
            kept = codes is not None and not bad
            codes = codes if kept and codes is not None else group.blank(floor)[1]
            codes[codes < 64] = floor
            if bad:
                values[:] = float("nan")
        source_ns = self._source(report.utc_ns, moment)
        texts = group.strings(report.raws)
        self.counts["readings_total"] += len(values) + len(texts)
        return group, Frame(self.layouts[group], moment.monotonic_ns, source_ns, values, codes, texts), not floor

    def _age(self, report: Report, moment: Moment) -> int:
        """The floor for a retained reading: none if its own time says that it is fresh."""
        fresh = report.utc_ns is not None and abs(moment.utc_ns - report.utc_ns) <= report.group.stale_ns
        return 0 if fresh else OLD

    @staticmethod
    def _source(utc_ns: int | None, moment: Moment) -> int:
        """The device's time on our monotonic clock; the arrival where either clock is not set."""
        if utc_ns is None or moment.utc_ns < EARLIEST_S * NS or abs(moment.utc_ns - utc_ns) > OLDEST_NS:
            return moment.monotonic_ns
        return moment.monotonic_ns - (moment.utc_ns - utc_ns)


def silent(group: Group, layout: Layout, code: int, now_ns: int) -> Frame:
    """A frame that says of all points why nothing is known."""
    values, codes = group.blank(code)
    return Frame(layout, now_ns, now_ns, values, codes)
