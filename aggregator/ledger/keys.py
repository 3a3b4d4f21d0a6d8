"""The log's own key: Ed25519, made here at the first start, in a file that nobody else may read.

LedgerError    the key cannot be used, or the ledger is another one than the configuration says
"""

import os
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from aggregator.stores import StoreError


class LedgerError(StoreError):
    """What is wrong with the ledger, with the remedy."""


def load(path: Path) -> Ed25519PrivateKey:
    """The key at `path`, made if there is none. Raises LedgerError."""
    try:
        if not path.exists():
            make(path)
        if path.stat().st_mode & 0o077:
            raise LedgerError(f"{path}: others may read the ledger's key: chmod 600")
        key = load_pem_private_key(path.read_bytes(), None)
    except OSError as error:
        raise LedgerError(f"{path}: {error.strerror}: run as the aggregator's user") from error
    except (ValueError, TypeError) as error:
        raise LedgerError(f"{path}: no key can be read from it: bring it back from a backup with keys") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise LedgerError(f"{path}: not an Ed25519 key: bring it back from a backup with keys")
    return key


def make(path: Path) -> None:
    """Durable before it is used: a checkpoint by a lost key would be a fork."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    beside = path.with_suffix(".new")
    beside.unlink(missing_ok=True)
    pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(pem)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
