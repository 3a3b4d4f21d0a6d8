"""A bundle file before its trial: read within its limit, and looked at whether it is a model of this twin at all."""

from pathlib import Path

from edge_agent.cell import TwinSpec
from edge_agent.rollout.faults import Rejected, Unfit
from protos.bundle import FILE_BYTES_MAX, PublicKey, TooLarge, Untrusted, read_key
from protos.model import Manifest


def read_bundle(path: Path) -> bytes:
    """The file's bytes. Raises Rejected when it cannot be read, TooLarge before more than is allowed is in memory."""
    try:
        with path.open("rb") as file:
            data = file.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        raise Rejected(f"{path}: {error.strerror}") from None
    if len(data) > FILE_BYTES_MAX:
        raise TooLarge(f"more than {FILE_BYTES_MAX} bytes are more than a bundle may have")
    return data


def read_trust(paths: tuple[Path, ...]) -> list[PublicKey]:
    """The public keys that this gateway's file names. Raises Untrusted, naming the file."""
    keys = []
    for path in paths:
        try:
            keys.append(read_key(path.read_bytes()))
        except (OSError, Untrusted) as error:
            raise Untrusted(f"{path}: {error}") from None
    return keys


def check_fit(spec: TwinSpec, manifest: Manifest, serving: Manifest | None) -> None:
    """Whether this twin could run it: the names that the gateway's file connects are there, and so is every estimate
    that the model in service gives, since controllers read them. Raises Unfit with everything that is missing.
    """
    known = [one.name for one in (*manifest.channels, *manifest.inputs)]
    lacks = [f"the file connects {name!r}" for name in spec.points if name not in known]
    if serving is not None:
        states = {one.name for one in manifest.states}
        lacks += [f"the model in service estimates {s.name!r}" for s in serving.states if s.name not in states]
    if lacks:
        title = f"{manifest.name} {manifest.version}"
        raise Unfit(f"{title} is no model of {spec.name}: {'; '.join(lacks)}; it has {', '.join(known)}")
