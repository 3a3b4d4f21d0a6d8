"""A disk that remembers every write, so that every power cut can be tried afterwards.

`Recording` is an apsw VFS over real files that logs writes, truncations, deletions and syncs. `states` builds what a
disk may hold after power went at any place of the log: everything before a file's last sync, and of what came later
any part, in sectors of 512 bytes (a write may be torn, and later ones may have got there before earlier ones). Bytes
beside a torn write stay as they were (SQLite's assumption of powersafe overwrite, true of journaling file systems).
"""

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

import apsw

SECTOR = 512


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened. `kind`: write, truncate, sync, delete, note (`what` is the tester's own)."""

    kind: str
    file: str = ""
    offset: int = 0
    data: bytes = b""
    what: object = None


class RecordedFile(apsw.VFSFile):
    def __init__(self, disk: "Recording", name: str | apsw.URIFilename | None, flags: list[int]) -> None:
        super().__init__("", name, flags)
        self._disk = disk
        self._name = Path(name.filename() if isinstance(name, apsw.URIFilename) else name or "").name

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802
        super().xWrite(data, offset)
        self._disk.log(Event("write", self._name, offset, bytes(data)))

    def xTruncate(self, newsize: int) -> None:  # noqa: N802
        super().xTruncate(newsize)
        self._disk.log(Event("truncate", self._name, newsize))

    def xSync(self, flags: int) -> None:  # noqa: N802
        super().xSync(flags)
        self._disk.log(Event("sync", self._name))


class Recording(apsw.VFS):
    """The recording disk, registered under `name` while it lives; `beside` are small files of ours to follow."""

    def __init__(self, name: str, beside: Path) -> None:
        super().__init__(name, "")
        self.events: list[Event] = []
        self._beside = beside
        self._seen: bytes | None = None

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> RecordedFile:  # noqa: N802
        return RecordedFile(self, name, flags)

    def xDelete(self, filename: str, syncdir: bool) -> None:  # noqa: N802
        super().xDelete(filename, syncdir)
        self.log(Event("delete", Path(filename).name))

    def log(self, event: Event) -> None:
        """Files that are replaced as a whole are always whole: old or new."""
        now = self._beside.read_bytes() if self._beside.exists() else None
        if now is not None and now != self._seen:
            self._seen = now
            self.events.append(Event("replace", self._beside.name, data=now))
        self.events.append(event)

    def note(self, what: object) -> None:
        self.log(Event("note", what=what))


@dataclass(slots=True)
class Content:
    """One file: what is surely on the disk, and what was asked for since."""

    safe: bytearray = field(default_factory=bytearray)
    loose: list[Event] = field(default_factory=list)


def put(content: bytearray, event: Event, begin: int = 0, end: int | None = None) -> None:
    """Apply a write (or bytes begin..end of it) or a truncation."""
    if event.kind == "truncate":
        del content[event.offset :]
        content.extend(bytes(event.offset - len(content)))
        return
    data = event.data[begin:end]
    at = event.offset + begin
    if len(content) < at:
        content.extend(bytes(at - len(content)))
    content[at : at + len(data)] = data


def sectors(event: Event) -> Iterator[tuple[int, int]]:
    """Where a write crosses the borders of sectors: the pieces that get to the disk or do not."""
    at = 0
    while at < len(event.data):
        end = min(len(event.data), at + SECTOR - (event.offset + at) % SECTOR)
        yield at, end
        at = end


def torn(content: Content, how: str, chance: random.Random) -> bytes:
    """The file after a power cut: `none`, `all` or `some` of what was not synced."""
    result = bytearray(content.safe)
    for event in content.loose:
        if how == "all" or (how == "some" and event.kind == "truncate" and chance.random() < 0.5):
            put(result, event)
        elif how == "some" and event.kind == "write":
            fate = chance.random()
            for begin, end in sectors(event) if fate > 0.25 else ():
                if fate > 0.6 or chance.random() < 0.5:
                    put(result, event, begin, end)
    return bytes(result)


def states(
    events: list[Event], count: int, seed: int, before: Mapping[str, bytes] = MappingProxyType({})
) -> Iterator[tuple[dict[str, bytes], list[object]]]:
    """About `count` (files, notes so far) spread over the whole log; a third has nothing or all of the rest.

    `before`: files that were there, and safe, when the log began.
    """
    chance = random.Random(seed)
    files = {name: Content(bytearray(data)) for name, data in before.items()}
    notes: list[object] = []
    owed = 0.0
    for event in events:
        follow(files, notes, event)
        owed += count / len(events)
        while owed >= 1:
            owed -= 1
            how = chance.choice(("none", "all", "some", "some", "some", "some"))
            yield {name: torn(content, how, chance) for name, content in files.items()}, list(notes)


def follow(files: dict[str, Content], notes: list[object], event: Event) -> None:
    if event.kind == "note":
        notes.append(event.what)
        return
    content = files.setdefault(event.file, Content())
    if event.kind == "delete":
        del files[event.file]
    elif event.kind == "replace":
        content.safe[:] = event.data
    elif event.kind == "sync":
        for one in content.loose:
            put(content.safe, one)
        content.loose.clear()
    else:
        content.loose.append(event)
