"""The query language (4.9) of q and csf: a parser by recursive descent.

    query   = term *((";" | "|") term)        ; binds closer than |, parentheses closer than both
    term    = "(" query ")" | path [operator value]
    path    = name *("." name) ["[" name *("." name) "]"] | name "{" [types ":"] path "}"
    value   = one *("," one) | one ".." one

What a query says of an entity is in `matching`.
"""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from aggregator.api.ngsi import times
from aggregator.api.ngsi.errors import BadRequest, TooComplexQuery
from aggregator.api.ngsi.words import is_name

TERMS_MAX = 200
DEEP_MAX = 20
PATTERN_MAX = 500  # characters of a regular expression
OPERATOR = re.compile(r"!~=|~=|==|!=|>=|<=|>|<")
NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?\Z")
STOPS = set(";|()")


@dataclass(frozen=True, slots=True)
class Path:
    """`names`: as written; `trail`: inside the value; `through`: the rest of a path that follows a relationship."""

    names: tuple[str, ...]
    trail: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    through: "Path | None" = None

    @property
    def depth(self) -> int:
        return 1 + self.through.depth if self.through else 0


@dataclass(frozen=True, slots=True)
class Range:
    low: Any
    high: Any


@dataclass(frozen=True, slots=True)
class Instant:
    """An unquoted DateTime, Date or Time, by its moment."""

    kind: str
    ns: int
    text: str


@dataclass(frozen=True, slots=True)
class Term:
    path: Path
    operator: str = ""  # empty: it is there
    values: tuple[Any, ...] = ()
    pattern: re.Pattern[str] | None = None


@dataclass(frozen=True, slots=True)
class Both:
    """All of, or any of."""

    every: bool
    parts: tuple["Node", ...]


Node = Term | Both


def parse(text: str, what: str = "q") -> Node:
    """Raises BadRequest, TooComplexQuery."""
    return Parser(text, what).whole()


def terms(node: Node) -> Iterator[Term]:
    if isinstance(node, Term):
        yield node
    else:
        for part in node.parts:
            yield from terms(part)


class Parser:
    """Reads one text from left to right."""

    def __init__(self, text: str, what: str) -> None:
        self.text, self.what, self.at, self.count = text, what, 0, 0

    def whole(self) -> Node:
        if not self.text.strip():
            raise self.fault("empty")
        node = self.either(0)
        if self.at < len(self.text):
            raise self.fault(f"{self.text[self.at]!r} is not expected")
        return node

    def fault(self, why: str) -> BadRequest:
        return BadRequest(f"{self.what}: at {self.at + 1} of {self.text!r}: {why}")

    def either(self, depth: int) -> Node:
        return self.joined("|", lambda: self.joined(";", lambda: self.term(depth), every=True), every=False)

    def joined(self, sign: str, part: Callable[[], Node], *, every: bool) -> Node:
        parts = [part()]
        while self.text.startswith(sign, self.at):
            self.at += 1
            parts.append(part())
        return parts[0] if len(parts) == 1 else Both(every, tuple(parts))

    def term(self, depth: int) -> Node:
        self.count += 1
        if self.count > TERMS_MAX or depth > DEEP_MAX:
            raise TooComplexQuery(f"{self.what}: more than {TERMS_MAX} terms, or deeper than {DEEP_MAX}")
        if self.text.startswith("(", self.at):
            self.at += 1
            node = self.either(depth + 1)
            if not self.text.startswith(")", self.at):
                raise self.fault("a closing parenthesis is missing")
            self.at += 1
            return node
        path = self.path(0)
        if not (match := OPERATOR.match(self.text, self.at)):
            return Term(path)
        self.at = match.end()
        operator = match.group()
        if operator in ("~=", "!~="):
            return Term(path, operator, pattern=self.pattern())
        return Term(path, operator, tuple(self.values(operator)))

    def path(self, depth: int) -> Path:
        if depth > DEEP_MAX:
            raise TooComplexQuery(f"{self.what}: deeper than {DEEP_MAX} relationships")
        written = self.until("[{}()=!<>~;|,")
        names = (written,) if ":" in written and "/" in written else tuple(written.split("."))
        if not all(is_name(one) for one in names):
            raise self.fault(f"{written!r} is no name of an Attribute")
        if self.text.startswith("{", self.at):
            self.at += 1
            kinds = self.kinds()
            through = self.path(depth + 1)
            self.close("}")
            return Path(names, (), kinds, through)
        trail: tuple[str, ...] = ()
        if self.text.startswith("[", self.at):
            self.at += 1
            inside = self.until("]")
            self.close("]")
            trail = tuple(inside.split("."))
            if not all(trail):
                raise self.fault("[] is empty")
        return Path(names, trail)

    def kinds(self) -> tuple[str, ...]:
        """Types of the entity that a relationship leads to: T1,T2:"""
        ahead = re.compile(r"([^{}\[\]()=!<>~;|]+?):(?!//)(?=[^{}:]*[}{])").match(self.text, self.at)
        if not ahead:
            return ()
        self.at = ahead.end()
        return tuple(ahead.group(1).split(","))

    def close(self, sign: str) -> None:
        if not self.text.startswith(sign, self.at):
            raise self.fault(f"{sign} is missing")
        self.at += 1

    def until(self, stops: str) -> str:
        begin = self.at
        while self.at < len(self.text) and self.text[self.at] not in stops:
            self.at += 1
        return self.text[begin : self.at].strip()

    def values(self, operator: str) -> Iterator[Any]:
        many = operator in ("==", "!=")
        while True:
            first = self.value()
            if many and self.text.startswith("..", self.at):
                self.at += 2
                yield Range(first, self.value())
            else:
                yield first
            if not (many and self.text.startswith(",", self.at)):
                return
            self.at += 1

    def value(self) -> Any:
        while self.text.startswith(" ", self.at):
            self.at += 1
        if self.text.startswith('"', self.at):
            try:
                found, end = json.JSONDecoder().raw_decode(self.text, self.at)
            except ValueError as error:
                raise self.fault(f"a text in quotes is not closed or not JSON: {error}") from error
            self.at = end
            return found
        begin = self.at
        while self.at < len(self.text) and self.text[self.at] not in ";|),":
            if self.text.startswith("..", self.at):
                break
            self.at += 1
        return self.literal(self.text[begin : self.at].strip())

    def literal(self, word: str) -> Any:
        if not word:
            raise self.fault("a value is missing")
        if word[0] in "<>=!~":
            raise self.fault(f"{word!r} begins with an operator: write such a text in quotes")
        if '"' in word:
            raise self.fault("a quote inside a value: write the whole value in quotes")
        if word in ("true", "false"):
            return word == "true"
        if NUMBER.match(word):
            return json.loads(word)
        return moment(word) or Word(word)

    def pattern(self) -> re.Pattern[str]:
        if self.text.startswith('"', self.at):
            written = self.value()
        else:
            begin, depth = self.at, 0
            while self.at < len(self.text):
                sign = self.text[self.at]
                depth += (sign == "(") - (sign == ")")
                if depth < 0 or (depth == 0 and sign in ";|"):
                    break
                self.at += 1
            written = self.text[begin : self.at]
        return pattern(written, self.what)


class Word(str):
    """Unquoted and nothing else: a URI, or a word that `expandValues` makes one."""

    __slots__ = ()


def pattern(written: str, what: str) -> re.Pattern[str]:
    """A regular expression of a stranger's. Raises BadRequest, TooComplexQuery."""
    if len(written) > PATTERN_MAX:
        raise TooComplexQuery(f"{what}: a pattern of more than {PATTERN_MAX} characters")
    if re.search(r"\([^()]*[+*][^()]*\)[+*{]", written):  # (a+)+ takes time without end on a text that fits almost
        raise TooComplexQuery(f"{what}: {written!r}: a repetition of repetitions")
    try:
        return re.compile(written)
    except re.error as error:
        raise BadRequest(f"{what}: {written!r} is no regular expression: {error}") from error


def moment(word: object) -> Instant | None:
    for kind, read in (("DateTime", times.instant), ("Date", times.day), ("Time", times.clock)):
        if (ns := read(word)) is not None:
            return Instant(kind, ns, str(word))
    return None
