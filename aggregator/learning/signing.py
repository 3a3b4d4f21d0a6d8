"""The key that signs what was learned: the one that the configuration names, or one of our own, made once.

KeyFault        a key file that cannot be used; the message names it
"""

import os
from pathlib import Path

from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from protos.bundle import PrivateKey


class KeyFault(ValueError):
    """The message names the file and what to do."""


def signing_key(named: Path | None, folder: Path) -> PrivateKey:
    """`named`, or `folder`/model.key: made once, with model.pub beside it for the gateways' `[control] trust`."""
    path = named or folder / "model.key"
    if named is None and not path.exists():
        key = PrivateKey.generate()
        public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        (folder / "model.pub").write_bytes(public)
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(private)
        return key
    try:
        found = load_pem_private_key(path.read_bytes(), None)
    except (OSError, ValueError, TypeError) as error:
        raise KeyFault(f"{path}: no signing key: {error}; openssl genpkey -algorithm ed25519 makes one") from None
    if not isinstance(found, PrivateKey):
        raise KeyFault(f"{path}: not Ed25519; openssl genpkey -algorithm ed25519 makes one")
    return found
