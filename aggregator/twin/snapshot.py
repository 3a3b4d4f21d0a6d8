"""A fuser as bytes, and back: its oldest checkpoint and the readings since, so that it stays able to go back.

Restoring does the steps again, at most as many as the lag has, and ends with the same state to the last bit. The bytes
are a numpy archive without pickles, so nothing in them can run.
"""

import io
import json
import zipfile
from dataclasses import asdict, replace
from hashlib import sha256
from typing import Any

import numpy as np

from aggregator.twin import BadModel
from aggregator.twin.belief import Belief
from aggregator.twin.calibration import Calibration
from aggregator.twin.fuser import Checkpoint, Counts, Fuser
from aggregator.twin.measurement import KINDS, Meas
from aggregator.twin.model import Model

VERSION = 1
BELIEF = ("x", "diag", "A")
PER_CHANNEL = ("count", "nis", "error", "r_scale", "last")
SINGLE = (
    *("steps", "domain_nis", "q_scale", "trials", "inside50", "inside90"),
    *("crps", "crps_prior", "crps_persistence", "scores"),
)


def pack(fuser: Fuser) -> bytes:
    """Everything that `unpack` needs beside the model, the scheme and their settings."""
    origin, log = fuser.origin, fuser.log
    calibration = origin.calibration
    head = {
        "version": VERSION,
        "model": fingerprint(fuser.model),
        "origin": origin.k,
        "known_ns": origin.known_ns,
        "k": fuser.k,
        "counts": asdict(fuser.counts),
        "calibration": {name: getattr(calibration, name) for name in SINGLE},
    }
    arrays = {
        **{f"belief.{name}": getattr(origin.belief, name) for name in BELIEF},
        **{f"calibration.{name}": getattr(calibration, name) for name in PER_CHANNEL},
        **{f"log.{name}": getattr(log, name) for name in KINDS},
    }
    out = io.BytesIO()
    np.savez(out, head=np.frombuffer(json.dumps(head).encode(), np.uint8), **arrays)
    return out.getvalue()


def unpack(data: bytes, fuser: Fuser) -> None:
    """Make a new fuser what the packed one was. Raises BadModel for another model, another version, or damage."""
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        head = json.loads(arrays["head"].tobytes())
        fault = misfit(head, fuser.model)
        if not fault:
            fuser.resume(*_parts(head, arrays, fuser))
    except (KeyError, TypeError, ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        fault = f"this is no snapshot of a fuser ({error!r})"
    if fault:
        raise BadModel(f"domain {fuser.model.name}: {fault}; begin without it and replay the log")


def _parts(head: dict[str, Any], arrays: dict[str, Any], fuser: Fuser) -> tuple[Checkpoint, Meas, int, Counts]:
    belief = Belief(head["origin"], *(arrays[f"belief.{name}"] for name in BELIEF))
    calibration = replace(
        Calibration.begin(len(fuser.model.channels), fuser.calibration.tuning),
        **{name: arrays[f"calibration.{name}"] for name in PER_CHANNEL},
        **(head["calibration"] | {"scores": tuple(head["calibration"]["scores"])}),
    )
    log = Meas(*(arrays[f"log.{name}"] for name in KINDS))
    return Checkpoint(belief, calibration, head["known_ns"]), log, head["k"], Counts(**head["counts"])


def fingerprint(model: Model) -> str:
    """What has to be the same for numbers to mean the same: name, states, step and channels, in their order."""
    words = [model.name, str(model.n), str(model.dt_ns), *model.channels]
    return sha256("\n".join(words).encode()).hexdigest()


def misfit(head: dict[str, Any], model: Model) -> str:
    """Why a snapshot is of no use for `model`; nothing when it is."""
    if head["version"] != VERSION:
        return f"the snapshot is of version {head['version']}, this is {VERSION}"
    return "" if head["model"] == fingerprint(model) else "the snapshot is of other states or channels"
