"""Whatever bytes come as a bundle: a clear refusal or the very bundle that was signed, never anything else."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from protos.bundle import HEAD, LABEL, SIGNATURE, Bundle, BundleError, Unreadable, split
from protos.model import Golden, Manifest, ModelError, Numbers
from tests.simulators.bundles import signing_key, tank_bundle

KEY = signing_key()
QUICK = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
MANY = st.lists(st.tuples(st.floats(0, 1), st.integers(1, 255)), min_size=1, max_size=8)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return tank_bundle(Path(tmp_path_factory.mktemp("bundle")) / "tank.ctb", KEY, network=True).read_bytes()


@QUICK
@given(st.binary(max_size=400))
def test_any_bytes(content: bytes) -> None:
    for start in (b"", HEAD.pack(b"CTBUNDLE", 1, 1, 40)):
        with pytest.raises(BundleError):
            Bundle.open(start + content, [KEY.public_key()])


@QUICK
@given(changes=MANY, cut=st.floats(0, 1), keep=st.booleans())
def test_changed_anywhere(data: bytes, changes: list[tuple[float, int]], cut: float, keep: bool) -> None:
    changed = bytearray(data)
    for place, mask in changes:
        changed[int(place * (len(data) - 1))] ^= mask
    content = bytes(changed) if keep else bytes(changed[: int(cut * len(data))])
    if content == data:
        return
    with pytest.raises(BundleError):
        Bundle.open(content, [KEY.public_key()])


@QUICK
@given(changes=MANY)
def test_a_signed_manifest_that_was_garbled_before(data: bytes, changes: list[tuple[float, int]]) -> None:
    """Past the signature, the parsers stand alone."""
    envelope = split(data)
    manifest = bytearray(envelope.manifest)
    for place, mask in changes:
        manifest[int(place * (len(manifest) - 1))] ^= mask
    signature = SIGNATURE.pack(KEY.public_key().public_bytes_raw(), KEY.sign(LABEL + manifest))
    head = HEAD.pack(b"CTBUNDLE", 1, 1, len(manifest))
    try:
        bundle = Bundle.open(head + signature + bytes(manifest) + envelope.payload, [KEY.public_key()])
    except BundleError:
        return
    assert bundle.manifest.encode() == manifest


@QUICK
@given(st.binary(max_size=600), st.integers(0, 3), st.integers(0, 3))
def test_parts_of_any_bytes(content: bytes, n: int, f: int) -> None:
    sizes = {"n": n, "m": 1, "p": 1, "f": f, "r": f, "g": 2}
    for read in (Numbers.decode, Golden.decode):
        try:
            assert read(content, sizes).encode() == content
        except ModelError:
            continue
    try:
        Manifest.decode(content)
    except ModelError:
        return
    raise AssertionError("random bytes are no manifest")


def test_unreadable_is_a_bundle_error() -> None:
    assert issubclass(Unreadable, BundleError)
