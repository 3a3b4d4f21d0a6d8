"""Warnings: what is sent when, and that every message keeps the constraints of CAP 1.2, transcribed here anew."""

import re
from collections.abc import Iterator
from dataclasses import replace
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.decisions import Refused
from aggregator.decisions.cap import Area, BadWarning, Message, feed, xml
from aggregator.decisions.warnings import LASTS_S, STANDING_MAX, Standing, Threat, Warnings, of_alarm, of_risk
from aggregator.twin.alarms import Alarms, Name, Priority, Rule
from aggregator.twin.risk import Risk

NS = 1_000_000_000
NOW = 1_800_000_000 * NS
PLACE = "{urn:oasis:names:tc:emergency:cap:1.2}"
TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[-+]\d\d:\d\d"
PAIR = r"-?\d+(\.\d+)?,-?\d+(\.\d+)?"
ALERT: dict[str, tuple[int, int, str | None]] = {  # element → least, most, what it may say; in the order of the schema
    "identifier": (1, 1, r"[^\s,<&]+"),
    "sender": (1, 1, r"[^\s,<&]+"),
    "sent": (1, 1, TIME),
    "status": (1, 1, "Actual|Exercise|System|Test|Draft"),
    "msgType": (1, 1, "Alert|Update|Cancel|Ack|Error"),
    "source": (0, 1, ".*"),
    "scope": (1, 1, "Public|Restricted|Private"),
    "restriction": (0, 1, ".*"),
    "addresses": (0, 1, ".*"),
    "code": (0, 99, ".*"),
    "note": (0, 1, ".*"),
    "references": (0, 1, rf"[^\s,]+,[^\s,]+,{TIME}( [^\s,]+,[^\s,]+,{TIME})*"),
    "incidents": (0, 1, ".*"),
    "info": (0, 99, None),
}
INFO: dict[str, tuple[int, int, str | None]] = {
    "language": (0, 1, "[a-zA-Z]{1,8}(-[a-zA-Z0-9]{1,8})*"),
    "category": (1, 99, "Geo|Met|Safety|Security|Rescue|Fire|Health|Env|Transport|Infra|CBRNE|Other"),
    "event": (1, 1, ".+"),
    "responseType": (0, 99, "Shelter|Evacuate|Prepare|Execute|Avoid|Monitor|Assess|AllClear|None"),
    "urgency": (1, 1, "Immediate|Expected|Future|Past|Unknown"),
    "severity": (1, 1, "Extreme|Severe|Moderate|Minor|Unknown"),
    "certainty": (1, 1, "Observed|Likely|Possible|Unlikely|Unknown"),
    "audience": (0, 1, ".*"),
    "eventCode": (0, 99, None),
    "effective": (0, 1, TIME),
    "onset": (0, 1, TIME),
    "expires": (0, 1, TIME),
    "senderName": (0, 1, ".*"),
    "headline": (0, 1, ".*"),
    "description": (0, 1, ".*"),
    "instruction": (0, 1, ".*"),
    "web": (0, 1, ".*"),
    "contact": (0, 1, ".*"),
    "parameter": (0, 99, None),
    "resource": (0, 99, None),
    "area": (0, 99, None),
}
AREA: dict[str, tuple[int, int, str | None]] = {
    "areaDesc": (1, 1, ".+"),
    "polygon": (0, 99, rf"{PAIR}( {PAIR}){{3,}}"),
    "circle": (0, 99, rf"{PAIR} \d+(\.\d+)?"),
    "geocode": (0, 99, None),
    "altitude": (0, 1, ".*"),
    "ceiling": (0, 1, ".*"),
}
INSIDE: dict[str, dict[str, tuple[int, int, str | None]]] = {
    "info": INFO,
    "area": AREA,
    "parameter": {"valueName": (1, 1, ".*"), "value": (1, 1, ".*")},
}


def wrongs(element: ElementTree.Element, schema: dict[str, tuple[int, int, str | None]]) -> Iterator[str]:
    names = [child.tag.removeprefix(PLACE) for child in element]
    places = [list(schema).index(name) if name in schema else -1 for name in names]
    if -1 in places or places != sorted(places):
        yield f"{element.tag}: {names} are not in the order of the schema"
    for name, (least, most, pattern) in schema.items():
        found = element.findall(PLACE + name)
        if not least <= len(found) <= most:
            yield f"{element.tag}: {len(found)} of {name}"
        for child in found:
            if name in INSIDE:
                yield from wrongs(child, INSIDE[name])
            elif pattern and not re.fullmatch(pattern, child.text or "", re.DOTALL):
                yield f"{name}: {child.text!r}"


def valid(message: Message) -> ElementTree.Element:
    root = ElementTree.fromstring(xml(message))
    assert root.tag == f"{PLACE}alert"
    assert not list(wrongs(root, ALERT))
    if root.findtext(f"{PLACE}msgType") in {"Update", "Cancel"}:
        assert root.findtext(f"{PLACE}references")
    for polygon in root.iter(f"{PLACE}polygon"):
        corners = (polygon.text or "").split()
        assert corners[0] == corners[-1]
    return root


def threat(**changed: object) -> Threat:
    usual = Threat(
        "flood", "underpass", 0.6, 1800.0, 5000.0, 0.2, Area("Underpass", circle=(8.5, 47.3, 0.3)), "Keep out of it."
    )
    return replace(usual, **changed)  # type: ignore[arg-type]


def test_a_warning_from_its_alert_to_its_end() -> None:
    city = Warnings("warnings@city.example")
    (alert,) = city.weigh([threat()], NOW)
    root = valid(alert)
    assert (alert.msgType, alert.status, alert.urgency, alert.severity, alert.certainty) == (
        *("Alert", "Exercise", "Expected", "Severe", "Likely"),
    )
    assert root.findtext(f"{PLACE}info/{PLACE}area/{PLACE}circle") == "47.300000,8.500000 0.300"
    assert city.weigh([threat(probability=0.61)], NOW + 60 * NS) == []  # no other class: no news
    (update,) = city.weigh([threat(probability=1.0, lead_s=0.0)], NOW + 120 * NS)
    assert (update.msgType, update.urgency, update.certainty) == ("Update", "Immediate", "Observed")
    assert valid(update).findtext(f"{PLACE}references") == str(alert.reference)
    assert [one.identifier for one in city.feed(NOW + 121 * NS)] == [update.identifier]
    (cancel,) = city.weigh([threat(probability=0.05)], NOW + 180 * NS)
    assert cancel.msgType == "Cancel"
    assert valid(cancel).findtext(f"{PLACE}references") == f"{alert.reference} {update.reference}"
    assert not city.standing
    assert not city.feed(NOW + 181 * NS)


def test_what_does_not_pay_is_no_warning_and_what_wavers_does_not_flicker() -> None:
    city = Warnings("warnings@city.example")
    assert city.weigh([threat(probability=0.2)], NOW) == []
    assert len(city.weigh([threat(probability=0.21)], NOW)) == 1
    assert all(one.msgType != "Cancel" for one in city.weigh([threat(probability=0.15)], NOW + NS))
    assert [one.msgType for one in city.weigh([], NOW + 2 * NS)] == ["Cancel"]


def test_an_exercise_until_somebody_arms_it() -> None:
    city = Warnings("warnings@city.example")
    (exercise,) = city.weigh([threat()], NOW)
    assert (exercise.status, bool(exercise.note)) == ("Exercise", True)
    with pytest.raises(Refused):
        city.arm(" ")
    assert not city.armed
    assert "mayor" in city.arm("mayor")
    (actual,) = city.weigh([threat()], NOW + NS)
    assert (actual.status, actual.msgType, actual.note) == ("Actual", "Update", "")


def test_a_warning_that_still_holds_is_said_again_before_it_ends() -> None:
    city = Warnings("warnings@city.example")
    (alert,) = city.weigh([threat()], NOW)
    late = alert.expires_ns - 300 * NS
    assert [one.msgType for one in city.weigh([threat()], late)] == ["Update"]
    assert city.feed(late + int(2 * LASTS_S) * NS) == []  # … and one that nobody renews leaves the feed


def test_warnings_outlive_a_restart() -> None:
    city = Warnings("warnings@city.example")
    (alert,) = city.weigh([threat()], NOW)
    again = Warnings("warnings@city.example")
    again.resume([Standing(one.threat, one.chain) for one in city.standing])
    (cancel,) = again.weigh([], NOW + NS)
    assert cancel.references == (alert.reference,)


def test_risks_and_alarms_become_threats() -> None:
    area = Area("Underpass", circle=(8.5, 47.3, 0.3))
    risk = Risk("underpass", "flood", 0.4, 2000.0, "Keep out of it.")
    found = of_risk(risk, area, 3000.0, 0.2)
    (alert,) = Warnings("warnings@city.example").weigh([found], NOW)
    assert (alert.urgency, alert.severity, alert.certainty) == ("Expected", "Severe", "Possible")
    name = Name("underpass", "flood")
    desk = Alarms([Rule(name, 0.3, "Keep out of it.", Priority.URGENT)])
    assert of_alarm(desk[name], area) is None
    desk.observe(name, 0.5, NOW)
    raised = of_alarm(desk[name], area)
    assert raised is not None
    city = Warnings("warnings@city.example")
    (alert,) = city.weigh([raised], NOW)
    assert (alert.urgency, alert.severity, alert.certainty) == ("Immediate", "Extreme", "Observed")
    desk.observe(name, 0.1, NOW + NS)
    assert of_alarm(desk[name], area) is None
    assert [one.msgType for one in city.weigh([], NOW + NS)] == ["Cancel"]


def test_too_many_are_a_fault() -> None:
    city = Warnings("warnings@city.example")
    with pytest.raises(Refused):
        city.weigh([threat(place=f"p-{i}") for i in range(STANDING_MAX + 1)], NOW)
    assert not city.standing


def test_all_faults_at_once() -> None:
    (good,) = Warnings("warnings@city.example").weigh([threat()], NOW)
    bad = {"identifier": "a b", "status": "Real", "expires_ns": NOW, "areas": (Area("x", ((1, 1), (2, 2))),)}
    with pytest.raises(BadWarning) as told:
        replace(good, **bad)  # type: ignore[arg-type]
    assert len(str(told.value).splitlines()) == 4
    with pytest.raises(BadWarning):
        replace(good, msgType="Update")
    with pytest.raises(BadWarning):
        threat(probability=1.5)


def test_the_transcribed_schema_can_fail() -> None:
    """Negative control: elements out of order, a missing one, a time with Z."""
    (message,) = Warnings("warnings@city.example").weigh([threat()], NOW)
    for wrong, right in ((b"-00:00", b"Z"), (b"<scope>Public</scope>", b""), (b"Exercise</status>", b"Drill</status>")):
        broken = ElementTree.fromstring(xml(message).replace(wrong, right))
        assert list(wrongs(broken, ALERT))


def test_the_feed_lists_what_counts() -> None:
    city = Warnings("warnings@city.example")
    city.weigh([threat(), threat(place="river", kind="gas")], NOW)
    root = ElementTree.fromstring(feed(city.feed(NOW), "https://city.example/warnings", NOW))
    atom = "{http://www.w3.org/2005/Atom}"
    links = [str(one.get("href")) for one in root.iter(f"{atom}link")]
    assert sorted(links) == sorted(f"https://city.example/warnings/{one.identifier}.xml" for one in city.feed(NOW))


@given(
    st.floats(0, 1),
    st.floats(0, 1e12),
    st.floats(0, 1e9),
    st.text(max_size=40),
    st.lists(st.tuples(st.floats(-180, 180), st.floats(-90, 90)), min_size=3, max_size=8),
)
def test_every_message_is_valid(
    p: float, lead_s: float, harm: float, text: str, corners: list[tuple[float, float]]
) -> None:
    """Whatever is said of a threat: the document keeps the schema, or nothing is sent."""
    area = Area(f"area {text}", polygon=(*corners, corners[0]))
    city = Warnings("warnings@city.example")
    one = threat(probability=p, lead_s=lead_s, harm=harm, area=area, advice=f"do {text}", threshold=-1.0)
    for k, threats in enumerate(([one], [replace(one, lead_s=0.0)], [])):
        for message in city.weigh(threats, NOW + k * NS):
            valid(message)
