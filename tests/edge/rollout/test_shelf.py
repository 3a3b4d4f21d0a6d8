"""A shelf is killed at each of its steps, by itself with SIGKILL: one good slot is always left."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from edge_agent.rollout.faults import Busy, Damaged, ShelfFault
from edge_agent.rollout.shelf import DAMAGED, STATE, Key, Shelf
from edge_agent.rollout.state import Model, State

OLD, NEW = b"old bundle" * 500, b"new bundle" * 500
STEPS = 40  # more than an installation has
INSTALL = """
import hashlib, os, signal, sys
from pathlib import Path
from edge_agent.rollout.shelf import Shelf
from edge_agent.rollout.state import Model, State

class Hasty(Shelf):
    # The negative control: the state names the bundle before it is there.
    def put(self, data):
        self.late = data
        return hashlib.sha256(data).hexdigest()

    def keep(self, state):
        super().keep(state)
        super().put(self.late)

step = kill_at = 0

def count(event, args):
    global step
    if kill_at and event in ("open", "os.rename", "os.remove"):  # what changes a folder, before it does
        step += 1
        if step == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(count)
kind = {"hasty": Hasty, "sound": Shelf}[sys.argv[2]]
for folder in sorted(Path(sys.argv[1]).iterdir(), key=lambda one: int(one.name)):
    shelf = kind(folder, "tank")
    shelf.open()
    if not (child := os.fork()):
        kill_at = int(folder.name)
        digest = shelf.put(b"new bundle" * 500)
        shelf.keep(State(current=Model(digest, "new", "2", 0, "test")))
        os._exit(0)
    if os.waitpid(child, 0)[1] == 0:
        print(folder.name)
        break
"""


def filled(folder: Path) -> Shelf:
    shelf = Shelf(folder, "tank")
    shelf.open()
    shelf.keep(State(current=Model(shelf.put(OLD), "old", "1", 0, "test")))
    return shelf


def killed_at_each_step(folder: Path, kind: str) -> list[Shelf]:
    """The shelf after a kill at the first, second, ... step of an installation, and after one that was let through."""
    shelves = [filled(folder / str(step)) for step in range(1, STEPS + 1)]
    done = subprocess.run([sys.executable, "-c", INSTALL, str(folder), kind], check=True, capture_output=True)
    through = int(done.stdout)
    assert 5 < through <= STEPS
    return shelves[:through]


def test_killed_at_each_step_one_good_slot_is_left(tmp_path: Path) -> None:
    seen = []
    for shelf in killed_at_each_step(tmp_path, "sound"):
        state = shelf.open()
        assert state.current is not None
        seen.append(shelf.take(state.current.digest))
        assert sorted(path.name for path in shelf.folder.iterdir()) == sorted([STATE, f"{state.current.digest}.ctb"]), (
            "leftovers are cleaned"
        )
    assert set(seen) == {OLD, NEW}
    assert seen == sorted(seen, reverse=True), "from one step on it is the new one"


def test_the_kills_can_break_a_hasty_shelf(tmp_path: Path) -> None:
    broken = 0
    for shelf in killed_at_each_step(tmp_path, "hasty"):
        state = shelf.open()
        assert state.current is not None
        try:
            shelf.take(state.current.digest)
        except Damaged:
            broken += 1
    assert broken


def test_a_bundle_that_is_not_what_its_name_says_is_not_served(tmp_path: Path) -> None:
    shelf = filled(tmp_path)
    digest = shelf.put(NEW)
    path = shelf.folder / f"{digest}.ctb"
    path.write_bytes(NEW.replace(b"n", b"m", 1))
    with pytest.raises(Damaged, match="bring the bundle again"):
        shelf.take(digest)
    with pytest.raises(Damaged, match="No such file"):
        shelf.take("f" * 64)


@pytest.mark.parametrize("copy", [0, 1])
def test_any_flipped_byte_of_the_state_leaves_a_copy(tmp_path: Path, copy: int) -> None:
    shelf = filled(tmp_path)
    path, state = shelf.folder / STATE, shelf.read()
    whole = path.read_bytes()
    half = len(whole) // 2
    for at in range(copy * (half + 1), copy * (half + 1) + half, 7):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x10]) + whole[at + 1 :])
        assert shelf.read() == state


def test_a_state_that_is_lost_is_kept_aside_and_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    shelf = filled(tmp_path)
    (shelf.folder / STATE).write_bytes(b"{}")
    assert shelf.open() == State()
    assert (shelf.folder / DAMAGED).read_bytes() == b"{}"
    assert "damaged in both copies" in caplog.text


def test_a_full_disk_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel says what a full disk says: no file may grow."""
    shelf = filled(tmp_path)
    before = shelf.read()

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ShelfFault, match="No space left"):
        shelf.put(NEW)
    with pytest.raises(ShelfFault, match="not written down"):
        shelf.keep(State())
    monkeypatch.undo()
    assert shelf.open() == before


def test_one_process_changes_models_at_a_time(tmp_path: Path) -> None:
    first = Key(tmp_path)
    with pytest.raises(Busy, match="ask the running agent"):
        Key(tmp_path)
    first.release()
    Key(tmp_path).release()
