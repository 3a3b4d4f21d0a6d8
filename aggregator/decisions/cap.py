"""Warnings as others read them: CAP 1.2 (OASIS Common Alerting Protocol, 2010; ITU-T X.1303bis), and a feed of them.

A message is made whole or not at all: what the standard forbids raises BadWarning with all faults. Nothing is read
here: others' warnings would need a validating parser.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import NamedTuple
from xml.etree import ElementTree

from aggregator.decisions import DecisionError

NS = 1_000_000_000
CAP = "urn:oasis:names:tc:emergency:cap:1.2"
ATOM = "http://www.w3.org/2005/Atom"
NAME = re.compile(r"[^\s,<&]+")  # identifier and sender: references separate them by commas and spaces
CORNERS_MIN = 4  # of a polygon, the first said again as the last

WORDS: dict[str, tuple[str, ...]] = {
    "status": ("Actual", "Exercise", "System", "Test", "Draft"),
    "msgType": ("Alert", "Update", "Cancel", "Ack", "Error"),
    "scope": ("Public", "Restricted", "Private"),
    "category": (
        *("Geo", "Met", "Safety", "Security", "Rescue", "Fire"),
        *("Health", "Env", "Transport", "Infra", "CBRNE", "Other"),
    ),
    "responseType": ("Shelter", "Evacuate", "Prepare", "Execute", "Avoid", "Monitor", "Assess", "AllClear", "None"),
    "urgency": ("Immediate", "Expected", "Future", "Past", "Unknown"),
    "severity": ("Extreme", "Severe", "Moderate", "Minor", "Unknown"),
    "certainty": ("Observed", "Likely", "Possible", "Unlikely", "Unknown"),
}


class BadWarning(DecisionError):
    """A message that CAP 1.2 does not allow; all faults, one a line."""


@dataclass(frozen=True, slots=True)
class Area:
    """Where. Corners are (longitude, latitude) in degrees, as everywhere here; CAP turns them round."""

    name: str
    polygon: tuple[tuple[float, float], ...] = ()
    circle: tuple[float, float, float] | None = None  # longitude, latitude, radius in km


class Reference(NamedTuple):
    """An earlier message that this one replaces or takes back."""

    sender: str
    identifier: str
    sent_ns: int

    def __str__(self) -> str:
        return f"{self.sender},{self.identifier},{stamp(self.sent_ns)}"


@dataclass(frozen=True, slots=True)
class Message:
    """One CAP message with one info block. Times are UTC ns."""

    identifier: str
    sender: str
    sent_ns: int
    status: str
    msgType: str  # noqa: N815 - CAP's own word
    category: str
    event: str
    responseType: str  # noqa: N815
    urgency: str
    severity: str
    certainty: str
    onset_ns: int
    expires_ns: int
    headline: str
    description: str
    instruction: str
    areas: tuple[Area, ...]
    references: tuple[Reference, ...] = ()
    parameters: tuple[tuple[str, str], ...] = ()
    note: str = ""
    scope: str = "Public"
    language: str = "en"
    sender_name: str = field(default="citytwin")

    def __post_init__(self) -> None:
        if faults := list(self._faults()):
            raise BadWarning("\n".join(f"warning {self.identifier}: {fault}" for fault in faults))

    @property
    def reference(self) -> Reference:
        return Reference(self.sender, self.identifier, self.sent_ns)

    def _faults(self) -> Iterator[str]:
        for what in ("identifier", "sender"):
            if not NAME.fullmatch(getattr(self, what)):
                yield f"{what} {getattr(self, what)!r}: letters and signs without spaces, commas, < and &"
        for what, allowed in WORDS.items():
            if getattr(self, what) not in allowed:
                yield f"{what} {getattr(self, what)!r}: one of {', '.join(allowed)}"
        if self.msgType in {"Update", "Cancel"} and not self.references:
            yield f"{self.msgType} without references: name what it replaces"
        if self.status == "Exercise" and not self.note.strip():
            yield "an exercise needs a note that says so"
        if not self.event.strip() or not self.areas:
            yield "no event or no area: say what happens where"
        if self.expires_ns <= self.sent_ns:
            yield "expires before it is sent"
        for area in self.areas:
            yield from _area_faults(area)


def _area_faults(area: Area) -> Iterator[str]:
    corners = [*area.polygon, *([area.circle[:2]] if area.circle else [])]
    if not area.name.strip():
        yield "an area without a name"
    if not all(-180 <= lon <= 180 and -90 <= lat <= 90 for lon, lat in corners):
        yield f"area {area.name}: longitude -180 … 180, latitude -90 … 90"
    if area.polygon and (len(area.polygon) < CORNERS_MIN or area.polygon[0] != area.polygon[-1]):
        yield f"area {area.name}: a polygon has {CORNERS_MIN} corners or more, the last the same as the first"
    if area.circle and not 0 <= area.circle[2] < float("inf"):
        yield f"area {area.name}: a radius is a number of km from 0 on"


def stamp(t_ns: int) -> str:
    """A time as CAP wants it: whole seconds, UTC written as -00:00, never as Z."""
    return datetime.fromtimestamp(t_ns // NS, UTC).strftime("%Y-%m-%dT%H:%M:%S-00:00")


def xml(message: Message) -> bytes:
    """The message as a document, elements in the order that the schema wants."""
    one = message
    ElementTree.register_namespace("", CAP)
    alert = ElementTree.Element(f"{{{CAP}}}alert")
    _say(alert, identifier=one.identifier, sender=one.sender, sent=stamp(one.sent_ns), status=one.status)
    _say(alert, msgType=one.msgType, scope=one.scope, note=one.note)
    _say(alert, references=" ".join(str(reference) for reference in one.references))
    info = ElementTree.SubElement(alert, f"{{{CAP}}}info")
    _say(info, language=one.language, category=one.category, event=one.event, responseType=one.responseType)
    _say(info, urgency=one.urgency, severity=one.severity, certainty=one.certainty, effective=stamp(one.sent_ns))
    _say(info, onset=stamp(one.onset_ns), expires=stamp(one.expires_ns), senderName=one.sender_name)
    _say(info, headline=one.headline, description=one.description, instruction=one.instruction)
    for name, value in one.parameters:
        _say(ElementTree.SubElement(info, f"{{{CAP}}}parameter"), valueName=name, value=value)
    for area in one.areas:
        found = ElementTree.SubElement(info, f"{{{CAP}}}area")
        _say(found, areaDesc=area.name, polygon=" ".join(f"{lat:.6f},{lon:.6f}" for lon, lat in area.polygon))
        if area.circle:
            lon, lat, km = area.circle
            _say(found, circle=f"{lat:.6f},{lon:.6f} {km:.3f}")
    return _document(alert)


def feed(messages: Sequence[Message], url: str, now_ns: int) -> bytes:
    """An Atom feed (RFC 4287) of `messages`, the newest first; each stands at `url`/identifier.xml."""
    ElementTree.register_namespace("", ATOM)
    root = ElementTree.Element(f"{{{ATOM}}}feed")
    _say(root, id=url, title="Warnings", updated=stamp(now_ns))
    for one in sorted(messages, key=lambda each: (-each.sent_ns, each.identifier)):
        entry = ElementTree.SubElement(root, f"{{{ATOM}}}entry")
        _say(entry, id=f"{url}/{one.identifier}", title=f"{one.status}: {one.headline}", updated=stamp(one.sent_ns))
        _say(ElementTree.SubElement(entry, f"{{{ATOM}}}author"), name=one.sender_name)
        ElementTree.SubElement(
            entry, f"{{{ATOM}}}link", {"type": "application/cap+xml", "href": f"{url}/{one.identifier}.xml"}
        )
        _say(entry, summary=one.description)
    return _document(root)


def _say(parent: ElementTree.Element, **words: str) -> None:
    """A child for each word that is not empty."""
    space = parent.tag[: parent.tag.index("}") + 1]
    for name, text in words.items():
        if text:
            ElementTree.SubElement(parent, f"{space}{name}").text = CONTROL.sub(" ", text)


CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")  # what no XML 1.0 document may hold


def _document(root: ElementTree.Element) -> bytes:
    found: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return found
