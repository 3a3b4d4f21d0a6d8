"""The bundle's promises: what comes out is what was signed; nothing is parsed that nobody trusted has signed."""

import hashlib
import json
import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

import protos.bundle
from protos.bundle import (
    HEAD,
    LABEL,
    MANIFEST_BYTES_MAX,
    SIGNATURE,
    Bundle,
    BundleError,
    Tampered,
    TooLarge,
    Unreadable,
    Untrusted,
    WrongVersion,
    pack,
    read_key,
    split,
)
from protos.model import Golden, Manifest, ModelError, Network, Numbers, Variable, canonical
from tests.simulators.bundles import CARD, signing_key, tank_bundle, tank_manifest, write_trust

KEY, STRANGER = signing_key(1), signing_key(66)
TRUSTED = [KEY.public_key()]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return tank_bundle(tmp_path_factory.mktemp("bundle") / "tank.ctb", KEY, network=True).read_bytes()


def resigned(data: bytes, manifest: bytes) -> bytes:
    """The same parts under another manifest that a trusted key has signed."""
    payload = split(data).payload
    signature = SIGNATURE.pack(KEY.public_key().public_bytes_raw(), KEY.sign(LABEL + manifest))
    return HEAD.pack(b"CTBUNDLE", 1, 1, len(manifest)) + signature + manifest + payload


def retold(data: bytes, **changes: object) -> bytes:
    """The same parts, with keys of the manifest changed or, where None, left out; signed again."""
    table = json.loads(split(data).manifest) | changes
    return resigned(data, canonical({key: value for key, value in table.items() if value != "nothing"}))


def test_what_was_packed_comes_out(data: bytes) -> None:
    bundle = Bundle.open(data, TRUSTED)
    assert bundle.digest == hashlib.sha256(data).hexdigest()
    assert bundle.signer == KEY.public_key().public_bytes_raw().hex()
    assert bundle.title == "tank 1"
    assert bundle.card == CARD
    assert replace(bundle.manifest, network=None, golden=0, parts=()) == tank_manifest()
    assert bundle.manifest.network == Network(("level", "inflow", "speed"), ("level",), (3, 8, 1))
    assert bundle.numbers.A.shape == (2, 2)
    assert bundle.golden.z.shape == (bundle.manifest.golden, 3)
    assert pack(bundle.manifest, parts_of(bundle), KEY) == data


def parts_of(bundle: Bundle) -> dict[str, bytes]:
    parts = {"numbers": bundle.numbers.encode(), "golden": bundle.golden.encode(), "card.md": bundle.card.encode()}
    return parts if bundle.network is None else parts | {"residual.tflite": bundle.network}


def test_any_trusted_signature_is_enough(data: bytes) -> None:
    bundle = Bundle.open(data, TRUSTED)
    both = pack(bundle.manifest, parts_of(bundle), STRANGER, KEY)
    for trusted in (KEY, STRANGER):
        assert Bundle.open(both, [trusted.public_key()]).manifest == bundle.manifest
    with pytest.raises(Untrusted, match=r"none of the 1 keys trusted here"):
        Bundle.open(both, [signing_key(3).public_key()])


def test_unsigned_and_strange(data: bytes) -> None:
    with pytest.raises(Untrusted, match="none of the 1 keys"):
        Bundle.open(data, [STRANGER.public_key()])
    with pytest.raises(Untrusted, match="no key is trusted here"):
        Bundle.open(data, [])
    begin = HEAD.size + SIGNATURE.size
    unsigned = HEAD.pack(b"CTBUNDLE", 1, 0, len(split(data).manifest)) + data[begin:]
    with pytest.raises(Untrusted, match="signed by nobody"):
        Bundle.open(unsigned, TRUSTED)


def test_a_signature_for_something_else_is_none(data: bytes) -> None:
    """The same key signs other things too: without the label their signatures would be good here."""
    manifest = split(data).manifest
    signature = SIGNATURE.pack(KEY.public_key().public_bytes_raw(), KEY.sign(manifest))
    with pytest.raises(Tampered):
        Bundle.open(data[: HEAD.size] + signature + data[HEAD.size + SIGNATURE.size :], TRUSTED)


def test_every_changed_byte_is_found(data: bytes) -> None:
    for place in range(0, len(data), 37):
        changed = bytearray(data)
        changed[place] ^= 0x40
        with pytest.raises(BundleError):
            Bundle.open(bytes(changed), TRUSTED)


def test_cut_and_longer(data: bytes) -> None:
    for length in (0, 7, HEAD.size, HEAD.size + 50, 300, len(data) - 1):
        with pytest.raises(BundleError):
            Bundle.open(data[:length], TRUSTED)
    with pytest.raises(Tampered, match="follow the manifest"):
        Bundle.open(data + b"x", TRUSTED)


def test_nothing_is_parsed_before_it_is_trusted(data: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative control included: with the right signature the very same traps are sprung."""
    sprung: list[str] = []

    class Trap:
        @staticmethod
        def decode(*given: object) -> None:
            sprung.append("manifest")
            raise ModelError("sprung")

    monkeypatch.setattr(protos.bundle, "Manifest", Trap)
    broken = bytearray(data)
    broken[HEAD.size + 40] ^= 1
    for bad, trusted in ((bytes(broken), KEY), (data, STRANGER)):
        with pytest.raises((Tampered, Untrusted)):
            Bundle.open(bad, [trusted.public_key()])
    assert not sprung
    with pytest.raises(Unreadable, match="sprung"):
        Bundle.open(data, TRUSTED)
    assert sprung == ["manifest"]


def test_digests_come_before_the_numbers(data: bytes) -> None:
    bundle = Bundle.open(data, TRUSTED)
    place = data.index(bundle.numbers.encode())
    changed = data[:place] + struct.pack("<d", float("nan")) + data[place + 8 :]
    with pytest.raises(Tampered, match="part numbers is not what was signed"):
        Bundle.open(changed, TRUSTED)


def test_sizes_are_bounded(data: bytes) -> None:
    with pytest.raises(TooLarge):
        Bundle.open(data[:8] + bytes(protos.bundle.FILE_BYTES_MAX), TRUSTED)
    for head in (HEAD.pack(b"CTBUNDLE", 1, 9, 10), HEAD.pack(b"CTBUNDLE", 1, 1, MANIFEST_BYTES_MAX + 1)):
        with pytest.raises(TooLarge):
            Bundle.open(head + data[HEAD.size :], TRUSTED)
    parts = json.loads(split(data).manifest)["parts"]
    parts[0][1] = 1 << 40
    with pytest.raises(TooLarge, match="part numbers"):
        Bundle.open(retold(data, parts=parts), TRUSTED)


def test_another_layout(data: bytes) -> None:
    with pytest.raises(WrongVersion, match="layout 2 is not 1"):
        Bundle.open(HEAD.pack(b"CTBUNDLE", 2, 1, 5) + data[HEAD.size :], TRUSTED)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"period_ns": 0}, "period_ns 0 is not from"),
        ({"period_ns": True}, "is no count"),
        ({"period_ns": -5}, "is no count"),
        ({"golden": 5000}, "golden 5000"),
        ({"name": "../etc"}, "is no name"),
        ({"name": 7}, "is no text"),
        ({"version": "1" * 300}, "longer"),
        ({"states": []}, "states are 0"),
        ({"states": [["level", "water_level", "m"]] * 2}, "twice"),
        ({"states": [["level", "water_level", "cm"]]}, "unit 'cm' is not 'm'"),
        ({"states": [["level", "wetness", "m"]]}, "not in the vocabulary"),
        ({"states": [["nis", "ratio", "1"]]}, "a name that the twin gives itself"),
        ({"states": [["level", "water_level", "m"], ["level_sd", "water_level", "m"]]}, "gives itself"),
        ({"states": [["level"]]}, "rows"),
        ({"inputs": [["level", "water_level", "m"]]}, "an input and a state"),
        ({"network": {"features": ["cheese"], "targets": ["level"], "layers": [1]}}, "feature 'cheese'"),
        ({"network": {"features": [], "targets": ["level"], "layers": [1]}}, "features are none"),
        ({"network": {"features": ["level"]}}, "network"),
        ({"network": None}, "its parts are"),
        ({"parts": []}, "its parts are none"),
        ({"extra": 1}, "extra"),
        ({"made_at": "nothing"}, "made_at"),
    ],
)
def test_manifests_that_make_no_twin(data: bytes, changes: dict[str, object], why: str) -> None:
    with pytest.raises(Unreadable, match=why):
        Bundle.open(retold(data, **changes), TRUSTED)


@pytest.mark.parametrize("manifest", [b"", b"[]", b"7", b"{", b"[" * 60_000, b'{"a":NaN}', b"\xff\xfe"])
def test_signed_nonsense(data: bytes, manifest: bytes) -> None:
    with pytest.raises(Unreadable):
        Bundle.open(resigned(data, manifest), TRUSTED)


def test_one_manifest_one_spelling(data: bytes) -> None:
    """Keys in another order, a key twice, spaces: the same words must be the same bytes."""
    manifest = split(data).manifest
    for other in (manifest.replace(b",", b", "), manifest.replace(b'{"asset', b'{"name":"x","asset', 1)):
        with pytest.raises(Unreadable, match="not canonical"):
            Bundle.open(resigned(data, other), TRUSTED)


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("A", np.full((2, 2), np.inf), "A is not finite"),
        ("Q", np.array([[1.0, 2.0], [0.0, 1.0]]), "Q is not symmetric"),
        ("Q", np.array([[1.0, 2.0], [2.0, 1.0]]), "Q is no covariance"),
        ("R", np.array([[0.0]]), "R has a channel without noise"),
        ("x_low", np.array([9.0, 9.0]), "x_low is not below x_high"),
        ("u_sd", np.array([-1.0]), "standard deviation"),
    ],
)
def test_numbers_that_make_no_twin(data: bytes, name: str, value: np.typing.NDArray[np.float64], why: str) -> None:
    bundle = Bundle.open(data, TRUSTED)
    fields = {one: getattr(bundle.numbers, one) for one in Numbers.__dataclass_fields__} | {name: value}
    with pytest.raises(Unreadable, match=why):
        pack(bundle.manifest, parts_of(bundle) | {"numbers": Numbers(**fields).encode()}, KEY)


def test_parts_of_the_wrong_size(data: bytes) -> None:
    bundle = Bundle.open(data, TRUSTED)
    for part in ("numbers", "golden"):
        with pytest.raises(Unreadable, match="bytes, not"):
            pack(bundle.manifest, parts_of(bundle) | {part: parts_of(bundle)[part][:-8]}, KEY)
    with pytest.raises(ValueError, match="unknown"):
        pack(bundle.manifest, parts_of(bundle) | {"run.sh": b""}, KEY)
    with pytest.raises(ValueError, match="0 keys"):
        pack(bundle.manifest, parts_of(bundle))


def test_golden_pairs_must_be_numbers(data: bytes) -> None:
    golden = Bundle.open(data, TRUSTED).golden
    spoilt = Golden(np.full_like(golden.x, np.nan), golden.u, golden.linear, golden.z, golden.r)
    bundle = Bundle.open(data, TRUSTED)
    with pytest.raises(Unreadable, match="golden pairs are not finite"):
        pack(bundle.manifest, parts_of(bundle) | {"golden": spoilt.encode()}, KEY)


def test_every_fault_of_a_manifest_at_once() -> None:
    bad = Manifest("", "1", "x y", 0, (), (), (Variable("a", "nothing", "1"),))
    assert len(bad.faults()) == 6


def test_keys_of_files(tmp_path: Path) -> None:
    pem = write_trust(tmp_path / "key.pem", KEY).read_bytes()
    assert read_key(pem).public_bytes_raw() == KEY.public_key().public_bytes_raw()
    other = ec.generate_private_key(ec.SECP256R1()).public_key()
    of_another_kind = other.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    for wrong in (b"", b"cheese", of_another_kind, pem * 100):
        with pytest.raises(Untrusted):
            read_key(wrong)
