"""A bundle file before its trial: read within its limit, and looked at whether it is a model of this twin at all."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from edge_agent.cell import TwinSpec
from edge_agent.rollout.faults import Rejected, Unfit
from protos.bundle import FILE_BYTES_MAX, Bundle, TooLarge, Untrusted, read_key
from protos.model import Manifest

if TYPE_CHECKING:
    from protos.bundle import PublicKey

Fit = Callable[[TwinSpec, Bundle], Iterable[str]]  # what the gateway's file says and the bundle does not bear out


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


def read_trust(paths: tuple[Path, ...]) -> list["PublicKey"]:
    """The public keys that this gateway's file names. Raises Untrusted, naming the file."""
    keys = []
    for path in paths:
        try:
            keys.append(read_key(path.read_bytes()))
        except (OSError, Untrusted) as error:
            raise Untrusted(f"{path}: {error}") from None
    return keys


def check_fit(spec: TwinSpec, bundle: Bundle, serving: Manifest | None, fit: Fit) -> None:
    """Whether this twin could run it: what `fit` says, and every estimate that the model in service gives is there,
    since controllers read them. Raises Unfit with everything that is wrong.
    """
    wrong = list(fit(spec, bundle))
    if serving is not None:
        states = {one.name for one in bundle.manifest.states}
        wrong += [
            f"the model in service estimates {s.name!r}, it does not" for s in serving.states if s.name not in states
        ]
    if wrong:
        raise Unfit(f"{bundle.title} is no model of {spec.name}: {'; '.join(wrong)}")
