"""On which line of a TOML text each key stands: tomllib checks and reads the values, but forgets their places.

Reads only text that tomllib has accepted, so it looks for the structure and trusts the rest.
"""

import re
from bisect import bisect_left
from dataclasses import dataclass, field

KeyPath = tuple[str | int, ...]  # ("device", 0, "unit")

BARE = re.compile(r"[A-Za-z0-9_-]+")
BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")  # and comments
SPACE = re.compile(r"[ \t]*")
SCALAR = re.compile(r"[^,\]}\n#]*")
STRING = re.compile(r"""\"{3}(?:\\.|[^\\])*?\"{3,5}|'{3}.*?'{3,5}|"(?:\\.|[^"\\])*"|'[^']*'""", re.DOTALL)
ESCAPE = re.compile(r"\\(.)")


@dataclass(eq=False, slots=True)
class Lines:
    """Line numbers (from 1) by path. A path that is not there has the line of its nearest parent."""

    text: str
    at: int = 0
    found: dict[KeyPath, int] = field(default_factory=dict)
    _ends: list[int] = field(default_factory=list)  # where each line ends
    _arrays: dict[KeyPath, int] = field(default_factory=dict)  # elements so far of each [[array of tables]]

    def __post_init__(self) -> None:
        self._ends = [match.start() for match in re.finditer("\n", self.text)]
        prefix: KeyPath = ()
        while self._skip(BLANK) < len(self.text):
            if self.text[self.at] == "[":
                prefix = self._header()
            else:
                self._pair(prefix)

    def __getitem__(self, path: KeyPath) -> int:
        for end in range(len(path), 0, -1):
            if path[:end] in self.found:
                return self.found[path[:end]]
        return 1

    def _skip(self, what: re.Pattern[str]) -> int:
        match = what.match(self.text, self.at)
        self.at = match.end() if match else self.at
        return self.at

    def _mark(self, path: KeyPath) -> None:
        line = bisect_left(self._ends, self.at) + 1
        for end in range(1, len(path) + 1):
            self.found.setdefault(path[:end], line)

    def _header(self) -> KeyPath:
        """`[a.b]` or `[[a.b]]`: the prefix of the keys that follow, through the last element of any array."""
        double = self.text.startswith("[[", self.at)
        self.at += 2 if double else 1
        path: KeyPath = ()
        names = self._names()
        for number, name in enumerate(names, 1):
            path = (*path, name)
            if double and number == len(names):
                self._arrays[path] = self._arrays.get(path, -1) + 1
            if path in self._arrays:
                path = (*path, self._arrays[path])
        self._mark(path)
        self.at += 2 if double else 1
        return path

    def _names(self) -> tuple[str, ...]:
        """A bare, quoted or dotted key."""
        names: list[str] = []
        while True:
            self._skip(SPACE)
            quoted = self.text[self.at] in "\"'"
            start = self.at
            word = self.text[start : self._skip(STRING if quoted else BARE)]
            names.append(ESCAPE.sub(r"\1", word[1:-1]) if quoted else word)
            self._skip(SPACE)
            if self.text[self.at] != ".":
                return tuple(names)
            self.at += 1

    def _pair(self, prefix: KeyPath) -> None:
        start = self.at
        names = self._names()
        end, self.at = self.at, start
        self._mark((*prefix, *names))
        self.at = end + 1  # the equals sign
        self._value((*prefix, *names))

    def _value(self, path: KeyPath) -> None:
        self._skip(BLANK)
        opening = self.text[self.at]
        if opening == "[":
            self._elements(path)
        elif opening == "{":
            self._inline(path)
        else:
            self._skip(STRING if opening in "\"'" else SCALAR)

    def _elements(self, path: KeyPath) -> None:
        self.at += 1
        number = 0
        while self.text[self._skip(BLANK)] != "]":
            self._mark((*path, number))
            self._value((*path, number))
            number += 1
            self._comma()
        self.at += 1

    def _inline(self, path: KeyPath) -> None:
        self.at += 1
        while self.text[self._skip(BLANK)] != "}":
            self._pair(path)
            self._comma()
        self.at += 1

    def _comma(self) -> None:
        if self.text[self._skip(BLANK)] == ",":
            self.at += 1
