"""A consistent copy of the stores while they are in use, with a list of what it consists of; and the way back.

The history is copied before the log: the log of a backup has all that its history has, and more, so a restored
aggregator reads on where its history ends. Gateways send again what came after.
"""

import hashlib
import json
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import apsw

from aggregator.stores import StoreError, sqlite
from aggregator.stores.history.archive import day_names
from aggregator.stores.history.day import SUFFIX
from aggregator.stores.history.state import NAME

MANIFEST = "manifest.json"
FORMAT = 1
PAGES = 2_048  # copied at once: writers may go on in between
CHUNK = 1 << 20  # bytes hashed at once

Count = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Source:
    """A file of the state directory: its place below it, and whether it is a database."""

    place: str
    is_database: bool


def sources(state: Path, history: Path, *, keys: bool) -> Iterator[Source]:
    """What a backup consists of, in the order in which it is copied: history's state first, then days, then the log.

    A day may then be ahead of the checkpoint copied before it, which its own cursor settles; never behind.
    """
    below = history.relative_to(state)
    if (history / NAME).exists():
        yield Source(str(below / NAME), True)
    for name in day_names(history):
        yield Source(str(below / (name + SUFFIX)), True)
    for name in ("ledger/ledger.sqlite", "log.sqlite", "catalogue.sqlite", "access.sqlite", "scenarios.sqlite"):
        if (state / name).exists():
            yield Source(name, True)
    for path in (*sorted((state / "ca").rglob("*")), state / "ledger/ledger.key"):
        if keys and path.is_file():
            yield Source(str(path.relative_to(state)), False)


def back_up(state: Path, history: Path, target: Path, *, keys: bool = False, count: Count = lambda done: None) -> int:
    """Copy to `target`, which must be empty or not there; returns the bytes written. `count` gets bytes copied.

    With `keys` the certificate authority is part of it, which makes the copy as secret as the machine.

    Raises StoreError or OSError.
    """
    if target.exists() and any(target.iterdir()):
        raise StoreError(f"{target}: is not empty; name a new folder for each backup")
    target.mkdir(parents=True, exist_ok=True, mode=0o700)
    files = {}
    for source in sources(state, history, keys=keys):
        copy = target / source.place
        copy.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if source.is_database:
            copy_database(state / source.place, copy)
        else:
            shutil.copy2(state / source.place, copy)  # with its mode: keys stay 0600
        size = copy.stat().st_size
        files[source.place] = {"sha256": digest(copy), "bytes": size}
        count(size)
    manifest = {"format": FORMAT, "made_ns": time.time_ns(), "files": files}
    part = target / (MANIFEST + ".part")
    part.write_text(json.dumps(manifest, indent=1))
    part.replace(target / MANIFEST)  # last: a backup without it is not whole
    return sum(int(str(one["bytes"])) for one in files.values())


def copy_database(source: Path, target: Path) -> None:
    """By SQLite's backup: one moment of the file, though it is written to meanwhile. Raises StoreError."""
    try:
        with (
            closing(sqlite.connect(source, read_only=True)) as original,
            closing(apsw.Connection(str(target))) as copy,
        ):
            original.execute("BEGIN")  # holds one moment, so that a busy writer cannot make the copy begin again
            original.execute("SELECT count(*) FROM sqlite_schema").fetchall()
            with copy.backup("main", original, "main") as work:
                while not work.done:
                    work.step(PAGES)
            copy.pragma("journal_mode", "delete")
    except apsw.Error as error:
        raise StoreError(f"{source}: cannot be copied: {error}; see `aggregator verify-store`") from error


def check(backup: Path, count: Count = lambda done: None) -> dict[str, int]:
    """Every file of the manifest against its digest; returns place → bytes. Raises StoreError listing every fault."""
    path = backup / MANIFEST
    try:
        manifest = json.loads(path.read_text())
        files = {str(place): (str(one["sha256"]), int(one["bytes"])) for place, one in manifest["files"].items()}
        known = manifest["format"] == FORMAT
    except OSError as error:
        raise StoreError(f"{path}: {error.strerror}: no backup, or one that was not finished") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise StoreError(f"{path}: not readable: {error!r}") from error
    if not known:
        raise StoreError(f"{path}: format {manifest['format']}, this software knows {FORMAT}")
    faults = []
    for place, (sha256, size) in files.items():
        file = backup / place
        if Path(place).is_absolute() or ".." in Path(place).parts:
            faults.append(f"{place}: leads out of the backup")
        elif not file.is_file():
            faults.append(f"{place}: is missing")
        elif digest(file) != sha256:
            faults.append(f"{place}: is not what was backed up")
        count(size)
    if faults:
        raise StoreError(f"{backup}: " + "; ".join(faults))
    return {place: size for place, (_, size) in files.items()}


def restore(backup: Path, state: Path, *, force: bool, count: Count = lambda done: None) -> int:
    """Copy a checked backup to `state`; returns the files written. What was there is kept beside it. Raises StoreError.

    With `force` an existing state is moved to `<state>.before-<time>` first, whole.
    """
    files = check(backup)
    there = [one for one in ("log.sqlite", "catalogue.sqlite", "history") if (state / one).exists()]
    if there and not force:
        raise StoreError(f"{state}: has {', '.join(there)} already; --force moves it aside and restores")
    fresh = state.with_name(f"{state.name}.restoring")
    shutil.rmtree(fresh, ignore_errors=True)
    for place, size in files.items():
        target = fresh / place
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        shutil.copy2(backup / place, target)
        count(size)
    for kept in state.iterdir() if state.exists() else ():
        if kept.name == "ca" or kept.suffix == ".toml":  # what a backup need not have: keys, configuration
            keep(kept, fresh / kept.name)
    if state.exists():
        state.replace(state.with_name(f"{state.name}.before-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}"))
    fresh.replace(state)
    return len(files)


def keep(source: Path, target: Path) -> None:
    """Copy a file or folder, unless the backup brought it."""
    if source.is_dir() and not target.exists():
        shutil.copytree(source, target)
    elif source.is_file() and not target.exists():
        shutil.copy2(source, target)


def digest(path: Path) -> str:
    """sha256 in hex."""
    sha256 = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            sha256.update(chunk)
    return sha256.hexdigest()
