"""The rules without IO: paths, times, values, topics, the window of acknowledgements, silence."""

from datetime import UTC
from zoneinfo import ZoneInfo

import pytest

from edge_agent.profile import Device, Field, MqttManners, PointSpec, Profile
from edge_agent.sources.mqtt import path, times, topics
from edge_agent.sources.mqtt.limits import TOPICS_MAX
from edge_agent.sources.mqtt.payloads import resolve
from edge_agent.sources.mqtt.reading import MISSING, NOTHING, Group, PayloadError
from edge_agent.sources.mqtt.silence import Silence
from edge_agent.sources.mqtt.window import Window

DOCUMENT = {"a": {"b": [1, {"c": 2}]}, "em:0": {"v": 3}, "x.y": 4, "n": None}


def device(root: str, payload: str = "json", topic: str = "", name: str = "d") -> Device:
    spec = PointSpec("v", "ratio", "1", place=Field(topic, "v"), period_ms=1000)
    return Device(name, Profile("p", "p", "energy", "t", "A", "t", (spec,), mqtt=MqttManners(payload)), "b", topic=root)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a.b[0]", 1),
        ("$.a.b[1].c", 2),
        ("a.b[-1].c", 2),
        ("em:0.v", 3),
        ('["x.y"]', 4),
        ("n", NOTHING),
        ("a.z", MISSING),
        ("a.b[7]", MISSING),
        ("a[0]", MISSING),
        ("", DOCUMENT),
    ],
)
def test_path(text: str, found: object) -> None:
    assert path.find(DOCUMENT, path.parse(text)) == found


@pytest.mark.parametrize("text", ["a[", "a[b]", "a..b", '["a]', "a]"])
def test_paths_that_cannot_be(text: str) -> None:
    with pytest.raises(ValueError, match="cannot be read"):
        path.parse(text)


@pytest.mark.parametrize(
    ("raw", "form", "seconds"),
    [
        (1_790_000_000, "unix", 1_790_000_000),
        ("1790000000.5", "unix", 1_790_000_000.5),
        (1_790_000_000_250, "unix_ms", 1_790_000_000.25),
        ("2026-09-21T14:13:20Z", "iso", 1_790_000_000),
        ("2026-09-21T16:13:20.125+02:00", "iso", 1_790_000_000.125),
        ("2026-09-21T16:13:20", "local", 1_790_000_000),
        (0, "unix", None),
        (-5, "unix", None),
        ("1e305", "unix", None),
        (10**200, "unix_ms", None),
        ("1970-01-01T00:00:09", "local", None),
    ],
)
def test_times(raw: object, form: str, seconds: float | None) -> None:
    found = times.utc_ns(raw, form, ZoneInfo("Europe/Berlin"), 1_790_000_000 * times.NS)
    assert found == (None if seconds is None else round(seconds * 1000) * 1_000_000)


@pytest.mark.parametrize(("raw", "form"), [("x", "unix"), ([], "unix_ms"), (1e400, "unix"), (5, "iso"), ("5", "local")])
def test_times_that_are_none(raw: object, form: str) -> None:
    with pytest.raises(PayloadError, match="has no"):
        times.utc_ns(raw, form, UTC, 0)


@pytest.mark.parametrize(
    ("wanted", "topic", "covers"),
    [
        ("a/+/c", "a/b/c", True),
        ("a/+", "a/b/c", False),
        ("a/#", "a", True),
        ("a/#", "a/b/c", True),
        ("#", "$SYS/x", False),
        ("+/x", "$SYS/x", False),
        ("a/#", "a/+/c", True),
        ("a/+", "a/#", False),
        ("a/b", "a/b", True),
    ],
)
def test_filters(wanted: str, topic: str, covers: bool) -> None:
    assert topics.matches(wanted, topic) is covers


def test_only_the_fewest_filters_are_subscribed() -> None:
    assert topics.fewest(["a/b", "a/+", "a/#", "c", "c"]) == ["a/#", "c"]


def test_longest_name_takes_the_topic() -> None:
    """A Zigbee2MQTT name may hold "/", so that one device's topic lies below another's."""
    kinds = [
        resolve("zigbee2mqtt")([device(root, "zigbee2mqtt", name=root)], UTC) for root in ("hall", "hall/availability")
    ]
    found = topics.Topics(kinds).of("zigbee2mqtt/hall/availability")
    assert found is not None
    assert [kind for kind, _ in found.heard] == [kinds[1]]


def test_topics_behind_wildcards_are_bounded() -> None:
    table = topics.Topics([resolve("json")([device("a", topic="+")], UTC)])
    assert all(table.of(f"a/{number}") for number in range(TOPICS_MAX))
    assert table.of("a/one more") is None
    assert table.of("a/7") is not None


def test_acknowledged_when_every_frame_is_durable() -> None:
    sent: list[int] = []
    window = Window(sent.append)
    held = window.take(7, 1, again=False)
    assert held is not None
    held.frames = 2
    held.committed()
    assert not sent
    held.committed()
    assert sent == [7]
    assert len(window) == 0


def test_a_message_that_comes_again_is_not_read_twice() -> None:
    sent: list[int] = []
    window = Window(sent.append)
    first, second = window.take(1, 11, again=False), window.take(2, 22, again=False)
    assert first is not None
    assert second is not None
    first.frames = second.frames = 1
    window.disconnected()
    first.committed()  # durable while nothing could be acknowledged
    assert not sent
    assert window.take(1, 11, again=True) is None
    assert window.take(2, 22, again=True) is None
    assert sent == [1]
    second.committed()
    assert sent == [1, 2]
    assert window.repeats == 2


def test_ids_begin_anew_with_a_new_session() -> None:
    window = Window(lambda mid: None)
    assert window.take(1, 11, again=False) is not None
    window.disconnected()
    window.forgotten()
    assert window.take(1, 11, again=True) is not None


def test_another_message_with_an_old_id_is_read() -> None:
    window = Window(lambda mid: None)
    window.take(1, 11, again=False)
    window.disconnected()
    assert window.take(1, 99, again=True) is not None


def test_a_full_window_is_relieved_by_an_acknowledgement() -> None:
    told: list[str] = []
    window = Window(lambda mid: None, lambda: told.append("room"), limit=2)
    first, second = window.take(1, 1, again=False), window.take(2, 2, again=False)
    assert first is not None
    assert second is not None
    assert window.full
    first.frames = 1
    first.committed()
    assert told == ["room"]
    assert not window.full


def test_each_silence_is_told_once() -> None:
    unit = device("a")
    group = Group(unit, unit.profile.points)
    silence = Silence([group], 0)
    deadline = silence.next_ns()
    assert deadline == 3_000_000_000  # three periods
    assert silence.due(deadline - 1) == []
    assert silence.due(deadline) == [group]
    assert silence.due(10 * deadline) == []
    assert silence.next_ns() is None
    assert silence.heard(group, 20 * deadline)
    assert silence.next_ns() == 21 * deadline
