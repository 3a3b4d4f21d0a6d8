"""What became of a scenario: numbers for people. Nothing in it can be sent to a gateway.

It holds no plan and no control's value, only what they cost and why; `Decision` is made from a `Plan` and the city as
it is (proposal.py), so neither the types nor the values of a result ever lead to an order.
"""

import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from aggregator.decisions import ScenarioError
from aggregator.twin import Floats, Ints
from aggregator.twin.domain import Stated

Singles = npt.NDArray[np.float32]

VERSION = 1
LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)  # quantiles that are shown


@dataclass(frozen=True, eq=False, slots=True)
class Indicator:
    """What people judge a domain by: one number per step and member, lower is better."""

    name: str
    members: Singles  # (T, N)

    @property
    def mean(self) -> Floats:
        """(T,)"""
        mean: Floats = self.members.mean(axis=1, dtype=np.float64)
        return mean

    @property
    def quantiles(self) -> Floats:
        """(T, levels)"""
        found: Floats = np.quantile(self.members.astype(np.float64), LEVELS, axis=1).T
        return found

    @property
    def per_member(self) -> Floats:
        """(N,) mean over the whole time."""
        mean: Floats = self.members.mean(axis=0, dtype=np.float64)
        return mean


@dataclass(frozen=True, eq=False, slots=True)
class Exceedance:
    """How likely a watched state goes beyond its limit: at each step, and at any."""

    name: str
    beyond: npt.NDArray[np.bool_]  # (T, N)

    @property
    def at_step(self) -> Floats:
        """(T,)"""
        share: Floats = np.mean(self.beyond, axis=1, dtype=np.float64)
        return share

    @property
    def ever(self) -> Floats:
        """(N,) 1 where a member was beyond at some step."""
        once: Floats = np.max(self.beyond, axis=0).astype(np.float64)
        return once


@dataclass(frozen=True, eq=False, slots=True)
class Track:
    """One domain's way through a scenario."""

    t_ns: Ints  # (T,) UTC: ends of steps
    indicators: Sequence[Indicator]
    exceedances: Sequence[Exceedance]
    states: Sequence[Stated]  # n
    kept: Ints  # (K,) which steps have their states kept, as places in t_ns
    mean: Singles  # (K, n)
    sd: Singles  # (K, n)
    low: Singles  # (K, n) 5 % quantile
    high: Singles  # (K, n) 95 %
    plan: str = ""  # status, cost and why of the plan that was carried out


@dataclass(frozen=True, eq=False, slots=True)
class Imagined:
    """A result. Two with the same `pairing` had the same beginning and the same chance: member by member comparable."""

    name: str
    begun_ns: int  # UTC, the moment of the city
    seed: int
    members: int
    digest: str  # of the state that it began from
    tracks: Mapping[str, Track]
    notes: Sequence[str] = ()

    @property
    def pairing(self) -> tuple[int, int, int, str]:
        return self.begun_ns, self.seed, self.members, self.digest


ARRAYS = ("t_ns", "kept", "mean", "sd", "low", "high")


def pack(one: Imagined) -> bytes:
    """A numpy archive without pickles."""
    arrays: dict[str, Any] = {}
    tracks = {}
    for name, track in one.tracks.items():
        arrays |= {f"{name}/{key}": getattr(track, key) for key in ARRAYS}
        arrays |= {f"{name}/indicator/{i}": each.members for i, each in enumerate(track.indicators)}
        arrays |= {f"{name}/beyond/{i}": each.beyond for i, each in enumerate(track.exceedances)}
        tracks[name] = {
            "indicators": [each.name for each in track.indicators],
            "exceedances": [each.name for each in track.exceedances],
            "states": [list(each) for each in track.states],
            "plan": track.plan,
        }
    head = {
        "version": VERSION,
        "name": one.name,
        "begun_ns": one.begun_ns,
        "seed": one.seed,
        "members": one.members,
        "digest": one.digest,
        "notes": list(one.notes),
        "tracks": tracks,
    }
    out = io.BytesIO()
    np.savez_compressed(out, head=np.frombuffer(json.dumps(head).encode(), np.uint8), **arrays)
    return out.getvalue()


def unpack(data: bytes) -> Imagined:
    """Raises ScenarioError for damage, or another version."""
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        head = json.loads(arrays["head"].tobytes())
        if head["version"] != VERSION:
            raise ScenarioError(f"the result is of version {head['version']}, this is {VERSION}; run it again")
        tracks = {name: _track(name, told, arrays) for name, told in head["tracks"].items()}
        keys = ("name", "begun_ns", "seed", "members", "digest", "notes")
        return Imagined(tracks=tracks, **{key: head[key] for key in keys})
    except (KeyError, TypeError, ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise ScenarioError(f"this is no result of a scenario ({error!r}); run it again") from error


def _track(name: str, told: Mapping[str, Any], arrays: Mapping[str, Any]) -> Track:
    indicators = [Indicator(one, arrays[f"{name}/indicator/{i}"]) for i, one in enumerate(told["indicators"])]
    exceedances = [Exceedance(one, arrays[f"{name}/beyond/{i}"]) for i, one in enumerate(told["exceedances"])]
    numbers = {key: arrays[f"{name}/{key}"] for key in ARRAYS}
    states = [Stated(*one) for one in told["states"]]
    return Track(indicators=indicators, exceedances=exceedances, states=states, plan=told["plan"], **numbers)
