"""Trees, proofs, tiles, notes and policies by their definitions, for any size; and what must not be believed."""

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from aggregator.ledger.policy import PolicyError, parse
from aggregator.ledger.tree import Edge
from protos import tlog
from protos.note import COSIGNATURE, ED25519, Head, Malformed, Note, NoteError, Signer, Unsigned, Verifier

LEAVES = [tlog.leaf_hash(b"%d" % number) for number in range(600)]


def mth(leaves: list[bytes]) -> bytes:
    """RFC 6962 section 2.1, word for word."""
    if not leaves:
        return tlog.EMPTY
    if len(leaves) == 1:
        return leaves[0]
    k = tlog.split(len(leaves))
    return tlog.node_hash(mth(leaves[:k]), mth(leaves[k:]))


def node(level: int, index: int) -> bytes:
    return mth(LEAVES[index << level : index + 1 << level])


@given(st.integers(1, 600), st.data())
def test_every_proof_is_believed_and_no_other(size: int, data: st.DataObject) -> None:
    index, old = data.draw(st.integers(0, size - 1)), data.draw(st.integers(0, size))
    root, before = mth(LEAVES[:size]), mth(LEAVES[:old])
    proof = tlog.inclusion(index, size, node)
    tlog.check_inclusion(index, size, LEAVES[index], proof, root)
    steps = tlog.consistency(old, size, node)
    tlog.check_consistency(old, size, steps, before, root)
    for spoilt in ([*proof, bytes(32)], proof[:-1] if proof else [bytes(32)], [bytes(32), *proof[1:], bytes(32)]):
        with pytest.raises(tlog.ProofError):
            tlog.check_inclusion(index, size, LEAVES[index], spoilt, root)
    with pytest.raises(tlog.ProofError):
        tlog.check_consistency(old, size, [*steps, bytes(32)], before, root)
    if 0 < old < size:
        with pytest.raises(tlog.ProofError):
            tlog.check_consistency(old, size, steps, bytes(32), root)
        with pytest.raises(tlog.ProofError):
            tlog.check_consistency(old, size, steps, before, bytes(32))


@given(st.lists(st.integers(1, 300), min_size=1, max_size=3))
def test_tiles_grow_as_the_tree_does(steps: list[int]) -> None:
    tiles: dict[tuple[int, int], bytes] = {}
    size = 0
    for step in steps:
        edge = Edge(size, lambda level, index: tiles.get((level, index), b""))
        for number in range(size, size + step):
            edge.add(LEAVES[number % 600])
        size += step
        tiles.update({(level, index): hashes for level, index, hashes in edge.changed()})
    wanted = list(tlog.tiles(size))
    assert {(one.level, one.index): one.width * 32 for one in wanted} == {at: len(one) for at, one in tiles.items()}
    read = tlog.node_in(lambda level, index: tiles.get((level, index), b""))
    assert tlog.tree_hash(0, size, read) == mth([LEAVES[number % 600] for number in range(size)])


@pytest.mark.parametrize(
    ("index", "width", "path"),
    [(0, 256, "000"), (1234067, 256, "x001/x234/067"), (1000, 8, "x001/000.p/8"), (999, 1, "999.p/1")],
)
def test_places_are_spelt_in_one_way(index: int, width: int, path: str) -> None:
    assert tlog.place(index, width) == path
    assert tlog.parse_place(path) == (index, width)


@pytest.mark.parametrize("path", ["", "0", "00", "x000/000", "001/000", "000.p/256", "000.p/0", "000.p/", "-01", "٠٠٠"])
def test_other_spellings_are_none(path: str) -> None:
    with pytest.raises(ValueError, match="no tile"):
        tlog.parse_place(path)


def signer(name: str, kind: int = ED25519) -> Signer:
    return Signer(name, kind, Ed25519PrivateKey.generate())


def test_a_note_and_its_signatures() -> None:
    log, one = signer("example.com/log"), signer("example.com/w1", COSIGNATURE)
    text = Head("example.com/log", 7, bytes(32)).text
    note = Note(text).plus([log.sign(text), one.sign(text, 1_780_000_000)])
    read = Note.of(note.content)
    assert read == note
    assert log.verifier.signed(read) == 0
    assert Verifier.of(one.verifier.vkey).signed(read) == 1_780_000_000
    assert Head.of(read.text) == Head("example.com/log", 7, bytes(32))
    with pytest.raises(Unsigned, match="not signed by"):
        signer("example.com/log").verifier.signed(read)
    spoilt = Note(text.replace("7", "8"), note.signatures)
    for verifier in (log.verifier, one.verifier):
        with pytest.raises(Unsigned, match="not good"):
            verifier.signed(spoilt)


def test_the_note_of_the_go_package() -> None:
    """The example in the documentation of golang.org/x/mod/sumdb/note: keys and signatures of other hands."""
    vkey = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
    note = (
        "If you think cryptography is the answer to your problem,\n"
        "then you don't know what your problem is.\n"
        "\n"
        "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
    )
    assert Verifier.of(vkey).signed(Note.of(note.encode())) == 0


@given(st.binary(max_size=300))
def test_no_bytes_are_too_strange(content: bytes) -> None:
    for read in (Note.of, lambda one: Head.of(one.decode(errors="replace")), lambda one: Verifier.of(repr(one))):
        with pytest.raises(NoteError):
            read(b"\xff" + content)


@pytest.mark.parametrize(
    "text", ["a\n1\n", "a\n01\nAAAA\n", "a\n-1\nAAAA\n", "a\n1\nAAAA\n", "\n1\n" + "A" * 43 + "=\n"]
)
def test_no_checkpoint(text: str) -> None:
    with pytest.raises(Malformed):
        Head.of(text)


def test_a_policy_of_two_levels() -> None:
    log, who = (
        signer("example.com/log"),
        {name: signer(f"example.com/{name}", COSIGNATURE) for name in ("a", "b", "c", "d")},
    )
    lines = [f"witness {name} {one.verifier.vkey} https://{name}.example" for name, one in who.items()]
    written = [f"log {log.verifier.vkey}", "# ours", *lines, "group g 2 a b c", "group all all g d", "quorum all"]
    policy = parse("\n".join(written), "p")
    text = Head("example.com/log", 7, bytes(32)).text
    for names, met in (("abd", True), ("ab", False), ("ad", False), ("abcd", True), ("", False)):
        note = Note(text).plus([log.sign(text), *(who[name].sign(text, 1) for name in names)])
        policy.signed(note)
        assert policy.met(note) is met, names
    assert parse(policy.text, "again") == policy


def test_all_faults_of_a_policy_at_once() -> None:
    one = signer("example.com/w", COSIGNATURE).verifier.vkey
    text = f"witness a {one}\nwitness b {one}\nlog {one}\ngroup g 3 a\ngroup h any x\nnonsense\nquorum y\nquorum none\n"
    with pytest.raises(PolicyError) as caught:
        parse(text, "p")
    assert [line.split(":")[1] for line in str(caught.value).splitlines()] == ["2", "3", "4", "5", "6", "7", "8"]
    with pytest.raises(PolicyError, match="no quorum line"):
        parse("", "p")
