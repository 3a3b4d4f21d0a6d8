"""Which kind of payload hears a topic: exact topics by table, filters with wildcards by levels, kept per topic."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from edge_agent.sources.mqtt.limits import TOPICS_MAX
from edge_agent.sources.mqtt.payloads.kind import Kind

Heard = tuple[Kind, str]  # and the filter by which it hears the topic


def matches(wanted: str, topic: str) -> bool:
    """Whether a filter covers a topic, or another filter (MQTT 5, chapter 4.7)."""
    if topic.startswith("$") and wanted[:1] in ("+", "#"):
        return False
    levels, of_topic = wanted.split("/"), topic.split("/")
    for at, level in enumerate(levels):
        if level == "#":
            return True
        if at >= len(of_topic) or of_topic[at] == "#" or (level != "+" and level != of_topic[at]):
            return False
    return len(levels) == len(of_topic)


def wild(topic: str) -> bool:
    return "+" in topic or "#" in topic


def fewest(filters: Iterable[str]) -> list[str]:
    """The filters without those that another one covers: a broker may send a message once per matching filter."""
    every = sorted(set(filters), key=lambda one: (not wild(one), one))
    wides = [one for one in every if wild(one)]
    return [one for one in every if not any(wide != one and matches(wide, one) for wide in wides)]


@dataclass(slots=True)
class Topic:
    """What is known of one topic."""

    heard: tuple[Heard, ...]
    newest: int = 0  # digest of the newest message heard live
    complained: bool = False  # whether an unreadable message was logged


@dataclass(eq=False)
class Topics:
    """`of(topic)` is where its messages go; None beyond the limit of topics behind wildcards."""

    kinds: Sequence[Kind]
    _known: dict[str, Topic] = field(default_factory=dict)
    _exact: dict[str, list[Heard]] = field(default_factory=dict)
    _wild: list[Heard] = field(default_factory=list)

    def __post_init__(self) -> None:
        for kind in self.kinds:
            for wanted in kind.filters():
                if wild(wanted):
                    self._wild.append((kind, wanted))
                else:
                    self._exact.setdefault(wanted, []).append((kind, wanted))

    def filters(self) -> list[str]:
        """What to subscribe to."""
        return fewest([*self._exact, *(wanted for _, wanted in self._wild)])

    def of(self, topic: str) -> Topic | None:
        found = self._known.get(topic)
        if found is None and len(self._known) < TOPICS_MAX + len(self._exact):
            found = self._known[topic] = Topic(self._find(topic))
        return found

    def _find(self, topic: str) -> tuple[Heard, ...]:
        every = [*self._exact.get(topic, ()), *(one for one in self._wild if matches(one[1], topic))]
        jealous = [kind for kind, _ in every if kind.exclusive]
        longest = max((len(kind.root(kind.device)) for kind in jealous), default=0)
        return tuple(
            (kind, wanted) for kind, wanted in every if not kind.exclusive or len(kind.root(kind.device)) == longest
        )
