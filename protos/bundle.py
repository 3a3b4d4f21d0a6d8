"""The bundle: one file that brings a model to a gateway, in an order that trusts nothing before it is proven.

    8   magic "CTBUNDLE"
    2   version of this layout                          all numbers little-endian
    2   count of signatures
    4   length of the manifest
    96  each signature: the signer's Ed25519 public key (32), its signature (64) over "citytwin bundle v1\\0" + manifest
    …   manifest, canonical JSON: what it is, and the size and SHA-256 of each part
    …   the parts in the manifest's order, nothing after them

Signature → digests → only then is anything parsed (NISTIR 8259A, IEC 62443-4-2 CR 3.4). A key that is not trusted
says nothing: its signature is passed over. Ed25519 after RFC 8032. `cryptography` is loaded when a key or a bundle is
at hand: a gateway without models does without it, and without its 7.5 MiB.

    BundleError         a file that may not be used; the message says why and what to do
    ├── Unreadable      no bundle, or one whose trusted content is not what it must be
    ├── WrongVersion    of another layout
    ├── TooLarge        a length beyond what is allowed
    ├── Untrusted       no trusted key has signed it
    └── Tampered        a trusted key's signature, or a part's digest, does not match
"""

import hashlib
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

from protos.model import Golden, Manifest, ModelError, Network, Numbers, Part, Variable

# These are also here for whoever reads bundles.
__all__ = [
    "Bundle",
    "BundleError",
    "Golden",
    "Manifest",
    "Network",
    "Numbers",
    "Part",
    "PrivateKey",
    "PublicKey",
    "Variable",
    "pack",
]

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey as PrivateKey
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey as PublicKey

MAGIC = b"CTBUNDLE"
VERSION = 1
HEAD = struct.Struct("<8sHHI")
SIGNATURE = struct.Struct("<32s64s")
LABEL = b"citytwin bundle v1\0"  # what is signed here can be nothing else's signature
SIGNATURES_MAX = 8  # a few people and machines; a stranger's file is not searched for long
MANIFEST_BYTES_MAX = 65_536
PARTS = {  # each part that there may be, and how long at most: all of a bundle is read into a gateway's memory
    "numbers": 2 << 20,
    "golden": 4 << 20,
    "card.md": 65_536,
    "residual.tflite": 1 << 20,
}
FILE_BYTES_MAX = HEAD.size + SIGNATURES_MAX * SIGNATURE.size + MANIFEST_BYTES_MAX + sum(PARTS.values())
KEY_BYTES_MAX = 4096  # of a PEM file


def __getattr__(name: str) -> Any:
    """PublicKey and PrivateKey, loaded on first use (PEP 562), with all that opening a bundle will want: whoever has
    them may give up files before it opens one."""
    if name in ("PublicKey", "PrivateKey"):
        from cryptography.hazmat.primitives.asymmetric import ed25519

        import_module("cryptography.exceptions")
        return getattr(ed25519, f"Ed25519{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


class BundleError(ValueError):
    """A file that may not be used as a model."""


class Unreadable(BundleError):
    """No bundle, cut short, or with content that is not what it must be."""


class WrongVersion(BundleError):
    """A layout that this version does not know."""


class TooLarge(BundleError):
    """A length beyond what is allowed."""


class Untrusted(BundleError):
    """Nobody trusted has signed it."""


class Tampered(BundleError):
    """It is not what was signed."""


class Signature(NamedTuple):
    signer: bytes  # raw public key
    signature: bytes


class Envelope(NamedTuple):
    """A bundle's outside, split by its lengths; nothing of it is believed yet."""

    signatures: tuple[Signature, ...]
    manifest: bytes
    payload: bytes


@dataclass(frozen=True, eq=False, slots=True)
class Bundle:
    """A bundle that was signed by a trusted key and is whole."""

    digest: str  # SHA-256 of the file, hex: its name on a shelf
    signer: str  # raw public key that was believed, hex
    manifest: Manifest
    numbers: Numbers
    golden: Golden
    card: str  # Markdown, for people
    network: bytes | None  # residual.tflite

    @property
    def title(self) -> str:
        """Name and version, as decisions quote it."""
        return f"{self.manifest.name} {self.manifest.version}"

    @classmethod
    def open(cls, data: bytes, trusted: Sequence["PublicKey"]) -> "Bundle":
        """The bundle in `data`. Raises BundleError; nothing is parsed before signature and digests are right."""
        envelope = split(data)
        signer = verify(envelope, [key.public_bytes_raw() for key in trusted])
        try:
            manifest = Manifest.decode(envelope.manifest)
            parts = _parts(manifest, envelope.payload)
            numbers = Numbers.decode(parts["numbers"], manifest.sizes)
            golden = Golden.decode(parts["golden"], manifest.sizes)
            card = parts["card.md"].decode()
        except (ModelError, UnicodeDecodeError) as error:
            raise Unreadable(f"{error}; make the bundle anew with this version's tools") from None
        digest = hashlib.sha256(data).hexdigest()
        return cls(digest, signer.hex(), manifest, numbers, golden, card, parts.get("residual.tflite"))


def pack(manifest: Manifest, parts: Mapping[str, bytes], *keys: "PrivateKey") -> bytes:
    """The file. `manifest.parts` is filled in here. Raises ValueError for what `Bundle.open` would refuse."""
    ordered = [name for name in PARTS if name in parts]
    listed = tuple(Part(name, len(parts[name]), hashlib.sha256(parts[name]).hexdigest()) for name in ordered)
    content = replace(manifest, parts=listed).encode()
    if not keys or len(keys) > SIGNATURES_MAX:
        raise ValueError(f"{len(keys)} keys: sign with 1 to {SIGNATURES_MAX}")
    if unknown := sorted(set(parts) - set(PARTS)):
        raise ValueError(f"part {unknown[0]!r} is unknown; there are {', '.join(PARTS)}")
    signatures = [SIGNATURE.pack(k.public_key().public_bytes_raw(), k.sign(LABEL + content)) for k in keys]
    head = HEAD.pack(MAGIC, VERSION, len(keys), len(content))
    data = b"".join([head, *signatures, content, *(parts[name] for name in ordered)])
    Bundle.open(data, [keys[0].public_key()])
    return data


def split(data: bytes) -> Envelope:
    """The outside of a bundle, by lengths alone. Raises Unreadable, WrongVersion or TooLarge."""
    if len(data) > FILE_BYTES_MAX:
        raise TooLarge(f"{len(data)} bytes are more than a bundle may have, {FILE_BYTES_MAX}")
    if len(data) < HEAD.size or not data.startswith(MAGIC):
        raise Unreadable("this is no bundle: it does not begin like one")
    _, version, count, length = HEAD.unpack_from(data)
    if version != VERSION:
        raise WrongVersion(f"layout {version} is not {VERSION}: make the bundle for this version, or update the agent")
    if count > SIGNATURES_MAX or length > MANIFEST_BYTES_MAX:
        raise TooLarge(f"{count} signatures and a manifest of {length} bytes are more than a bundle may have")
    begin = HEAD.size + count * SIGNATURE.size
    if len(data) < begin + length:
        raise Unreadable(f"cut short: {len(data)} bytes, its head alone asks for {begin + length}")
    signatures = tuple(Signature(*one) for one in SIGNATURE.iter_unpack(data[HEAD.size : begin]))
    return Envelope(signatures, data[begin : begin + length], data[begin + length :])


def verify(envelope: Envelope, trusted: Sequence[bytes]) -> bytes:
    """The trusted signer, a raw public key. Raises Untrusted, and Tampered where a trusted signature is wrong."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    if not trusted:
        raise Untrusted("no key is trusted here: name the signer's public key under [control] trust")
    for one in envelope.signatures:
        if one.signer not in trusted:
            continue
        try:
            Ed25519PublicKey.from_public_bytes(one.signer).verify(one.signature, LABEL + envelope.manifest)
        except InvalidSignature:
            raise Tampered(f"the signature of {one.signer.hex()[:16]} does not match the manifest") from None
        return one.signer
    signers = ", ".join(one.signer.hex()[:16] for one in envelope.signatures) or "nobody"
    raise Untrusted(f"signed by {signers}, none of the {len(trusted)} keys trusted here")


def _parts(manifest: Manifest, payload: bytes) -> Mapping[str, bytes]:
    """Raises TooLarge, Tampered, Unreadable."""
    names = [part.name for part in manifest.parts]
    needed = ["numbers", "golden", "card.md"] + ["residual.tflite"] * (manifest.network is not None)
    if names != [name for name in PARTS if name in needed]:
        raise Unreadable(f"its parts are {', '.join(names) or 'none'}, not {', '.join(needed)}")
    for part in manifest.parts:
        if part.size > PARTS[part.name]:
            raise TooLarge(f"part {part.name} has {part.size} bytes, {PARTS[part.name]} are allowed")
    if len(payload) != sum(part.size for part in manifest.parts):
        raise Tampered(f"{len(payload)} bytes follow the manifest, not {sum(part.size for part in manifest.parts)}")
    found, begin = {}, 0
    for part in manifest.parts:
        content = payload[begin : begin + part.size]
        if hashlib.sha256(content).hexdigest() != part.sha256:
            raise Tampered(f"part {part.name} is not what was signed: its SHA-256 is another")
        found[part.name], begin = content, begin + part.size
    return found


def read_key(pem: bytes) -> "PublicKey":
    """The Ed25519 public key of a PEM file. Raises Untrusted."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        key = load_pem_public_key(pem) if len(pem) <= KEY_BYTES_MAX else None
    except (ValueError, UnsupportedAlgorithm) as error:
        raise Untrusted(f"no public key: {error}; it must be Ed25519 in PEM (openssl pkey -pubout)") from None
    if not isinstance(key, Ed25519PublicKey):
        raise Untrusted("the key is not Ed25519 in PEM: make one with openssl genpkey -algorithm ed25519")
    return key
