"""Whose cosignatures make a checkpoint good: a policy file as C2SP tlog-policy writes it.

    log <vkey> [<url>]
    witness <name> <vkey> [<url>]
    group <name> <k>|any|all <name>...
    quorum <name>|none

Gateways and outside witnesses stand in it alike. PolicyError lists every fault with its line.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from aggregator.stores import StoreError
from protos.note import COSIGNATURE, ED25519, Malformed, Note, Unsigned, Verifier

LINES_MAX = 10_000
NONE = "none"
FORM = "log <vkey>, witness <name> <vkey>, group <name> <k>|any|all <name>…, quorum <name>|none"


class PolicyError(StoreError):
    """Every fault of the policy, one a line."""


@dataclass(slots=True)
class Policy:
    """`groups`: name → (how many, of whom)."""

    logs: list[Verifier] = field(default_factory=list)
    witnesses: dict[str, Verifier] = field(default_factory=dict)
    groups: dict[str, tuple[int, tuple[str, ...]]] = field(default_factory=dict)
    quorum: str = NONE

    def signed(self, note: Note) -> None:
        """That one of the logs signed it. Raises Unsigned."""
        for one in self.logs:
            try:
                one.signed(note)
            except Unsigned:
                continue
            if note.text.startswith(one.name + "\n"):
                return
        raise Unsigned("the checkpoint is not signed by a log of the policy")

    def cosigners(self, note: Note) -> dict[str, int]:
        """Witness → the time it states, of every good cosignature."""
        found = {}
        for name, one in self.witnesses.items():
            try:
                found[name] = one.signed(note)
            except Unsigned:
                continue
        return found

    def met(self, note: Note) -> bool:
        """Whether the cosigners are a quorum."""
        return self.quorum == NONE or self._has(self.quorum, set(self.cosigners(note)))

    def _has(self, name: str, who: set[str]) -> bool:
        if name not in self.groups:
            return name in who
        least, members = self.groups[name]
        return sum(self._has(one, who) for one in members) >= least

    @property
    def text(self) -> str:
        lines = [f"log {one.vkey}" for one in self.logs]
        lines += [f"witness {name} {one.vkey}" for name, one in self.witnesses.items()]
        lines += [f"group {name} {least} {' '.join(of)}" for name, (least, of) in self.groups.items()]
        return "".join(f"{one}\n" for one in [*lines, f"quorum {self.quorum}"])


def majority(log: Verifier, gateways: Sequence[tuple[str, Verifier]]) -> Policy:
    """Where no policy is written: more than half of the gateways that have a key; none while there is no gateway."""
    policy = Policy([log], dict(gateways))
    if gateways:
        policy.groups["gateways"] = len(gateways) // 2 + 1, tuple(name for name, _ in gateways)
        policy.quorum = "gateways"
    return policy


def parse(text: str, name: str) -> Policy:
    """Raises PolicyError; `name` is the file's, for its message."""
    reading = _Reading()
    faults = [f"{name}:{number}: {fault}" for number, line in _lines(text) if (fault := reading.take(line))]
    if not reading.quorums:
        faults.append(f"{name}: no quorum line; write `quorum none` or `quorum <name>`")
    if faults:
        raise PolicyError("\n".join(faults))
    return reading.policy


def _lines(text: str) -> Iterator[tuple[int, list[str]]]:
    for number, line in enumerate(text.split("\n")[:LINES_MAX], 1):
        if (words := line.replace("\t", " ").split(" ")) and not line.strip(" \t").startswith("#"):
            words = [one for one in words if one]
            if words:
                yield number, words


class _Reading:
    """A policy as its lines come."""

    def __init__(self) -> None:
        self.policy, self.quorums, self._used, self._keys = Policy(), 0, set[str](), set[tuple[bool, bytes]]()

    def take(self, words: list[str]) -> str:
        """Take a line; returns its fault."""
        match words:
            case ["log", vkey, *url] if len(url) <= 1:
                return self._log(vkey)
            case ["witness", name, vkey, *url] if len(url) <= 1:
                return self._witness(name, vkey)
            case ["group", name, least, *members] if members:
                return self._group(name, least, members)
            case ["quorum", name]:
                return self._quorum(name)
        return f"{' '.join(words)[:80]!r}: no line of a policy; there are: {FORM}"

    def _log(self, vkey: str) -> str:
        one = self._key(vkey, ED25519)
        if isinstance(one, Verifier):
            self.policy.logs.append(one)
            return ""
        return one

    def _witness(self, name: str, vkey: str) -> str:
        one = self._key(vkey, COSIGNATURE)
        if isinstance(one, str):
            return one
        if fault := self._taken(name):
            return fault
        self.policy.witnesses[name] = one
        return ""

    def _group(self, name: str, least: str, members: list[str]) -> str:
        if fault := self._taken(name):
            return fault
        for one in members:
            if not self._known(one):
                return f"{one}: not defined above"
            if one in self._used:
                return f"{one}: is in a group already"
            self._used.add(one)
        count = {"any": 1, "all": len(members)}.get(least) or (int(least) if least.isdecimal() else 0)
        if not 1 <= count <= len(members):
            return f"{least}: write any, all, or a number from 1 to {len(members)}"
        self.policy.groups[name] = count, tuple(members)
        return ""

    def _quorum(self, name: str) -> str:
        self.quorums += 1
        if self.quorums > 1:
            return "a second quorum line; write one"
        if name != NONE and not self._known(name):
            return f"{name}: not defined above"
        self.policy.quorum = name
        return ""

    def _key(self, vkey: str, kind: int) -> "Verifier | str":
        try:
            one = Verifier.of(vkey)
        except Malformed as error:
            return str(error)
        if one.kind != kind:
            return f"{one.name}: a key of kind {one.kind}, not {kind}"
        if (kind == ED25519, one.public) in self._keys:
            return f"{one.name}: this key is listed already"
        self._keys.add((kind == ED25519, one.public))
        return one

    def _known(self, name: str) -> bool:
        return name in self.policy.witnesses or name in self.policy.groups

    def _taken(self, name: str) -> str:
        return f"{name}: is defined already" if self._known(name) or name == NONE else ""
