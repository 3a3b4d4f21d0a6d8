"""The slots of one twin on disk, in `<state_dir>/models/<twin>/`, so that a kill at any moment leaves a good one.

    slots.json      the state, twice, each behind its checksum: a flipped bit spoils one of them
    <digest>.ctb    the bundles that the state names, by the SHA-256 of their bytes

A bundle is whole on the disk before the state names it, and is removed after the state no longer does: killed in
between, there is a file too many, which the next `open` removes, and never one too few.
"""

import fcntl
import hashlib
import json
import logging
import os
from dataclasses import asdict
from pathlib import Path

from edge_agent.files import put_whole, seal, unseal
from edge_agent.rollout.faults import Busy, Damaged, ShelfFault
from edge_agent.rollout.state import State

log = logging.getLogger(__name__)
MODELS, STATE, DAMAGED, SUFFIX = "models", "slots.json", "slots.damaged", ".ctb"
STATE_BYTES_MAX = 65_536  # a state is a few kB; what is larger is none


class Shelf:
    """One twin's folder. Not for two processes at once: whoever changes it holds the `Key` of the models."""

    def __init__(self, state_dir: Path, twin: str) -> None:
        self.folder = state_dir / MODELS / twin

    def open(self) -> State:
        """The state, and nothing on the disk that it does not name. Raises ShelfFault."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            state = self.read()
            self._clean(state)
        except OSError as error:
            raise ShelfFault(f"{self.folder}: {error.strerror}: the agent must be able to write there") from None
        except ValueError as error:
            (self.folder / STATE).replace(self.folder / DAMAGED)
            log.error("%s: %s; the slots begin anew, the old state is kept as %s", self.folder, error, DAMAGED)
            return State()
        return state

    def read(self) -> State:
        """The state as it is written, empty where nothing is. Raises OSError, and ValueError when it is damaged."""
        path = self.folder / STATE
        try:
            with path.open("rb") as file:
                content = file.read(STATE_BYTES_MAX)
        except FileNotFoundError:
            return State()
        wrong = ""
        for copy in content.split(b"\n"):
            try:
                return State.read(json.loads(unseal(copy)))
            except ValueError as error:
                wrong = wrong or str(error)
        raise ValueError(f"{STATE} is damaged in both copies: {wrong}")

    def put(self, data: bytes) -> str:
        """Bring a bundle's bytes; the next `keep` must name them. Returns their digest. Raises ShelfFault."""
        digest = hashlib.sha256(data).hexdigest()
        try:
            put_whole(self.folder / f"{digest}{SUFFIX}", data)
        except OSError as error:
            raise ShelfFault(
                f"{self.folder}: {error.strerror}: nothing was installed, the slots are as before"
            ) from None
        return digest

    def take(self, digest: str) -> bytes:
        """A bundle's bytes. Raises Damaged when they are not those that were put there."""
        path = self.folder / f"{digest}{SUFFIX}"
        try:
            data = path.read_bytes()
        except OSError as error:
            raise Damaged(f"{path}: {error.strerror}") from None
        if hashlib.sha256(data).hexdigest() != digest:
            raise Damaged(f"{path}: a bit of it is another one: bring the bundle again")
        return data

    def keep(self, state: State) -> None:
        """Write the state down, then remove what it no longer names. Raises ShelfFault; the old state then stays."""
        sealed = seal(json.dumps(asdict(state), separators=(",", ":")).encode())
        try:
            put_whole(self.folder / STATE, sealed + b"\n" + sealed)
            self._clean(state)
        except OSError as error:
            raise ShelfFault(f"{self.folder}: {error.strerror}: the change of slots is not written down") from None

    def _clean(self, state: State) -> None:
        wanted = {STATE, DAMAGED, *(f"{digest}{SUFFIX}" for digest in state.digests)}
        for path in self.folder.iterdir():
            if path.name not in wanted:
                path.unlink()


class Key:
    """Whoever changes the slots of a gateway holds it; the kernel gives it back when its holder dies. Raises Busy."""

    def __init__(self, state_dir: Path) -> None:
        folder = state_dir / MODELS
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._folder = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise ShelfFault(f"{folder}: {error.strerror}: the agent must be able to write there") from None
        try:
            fcntl.flock(self._folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._folder)
            raise Busy(f"{folder}: another process changes models: wait for it, or ask the running agent") from None

    def release(self) -> None:
        os.close(self._folder)
