"""What a gateway's control loop is told: its period, outputs, controllers and twins. One cell per gateway.

Read and checked by `edge_agent/config`; names of points are `device/point`, as in the process image. A twin's own
points are `twin's name/point`, so a controller reads an estimate like any other point.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

Setting = float | bool | str | tuple[float, ...] | tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Output:
    """A point that the gateway may write, with everything that somebody declared safe about it. Internal units."""

    name: str
    point: str  # device/point
    safe: float  # what it is set to when nobody may be believed
    ttl_ns: int  # a wish that is not renewed for so long has lapsed
    low: float
    high: float
    slew_per_s: float  # largest change in a second; inf: it may jump
    min_on_ns: int  # once above `off_below`, it stays there so long
    min_off_ns: int
    refresh_ns: int  # written again after so long even if unchanged; 0: only on change
    lifetime_writes: int  # of the register's memory; 0: working memory, no limit
    readback_ns: int  # by then the device must show what was written
    readback: str = ""  # device/point that shows it, if not the point itself
    tolerance: float = 0.0  # between written and read back
    start: str = "hold"  # until its inputs are valid it is left alone (hold) or set to `safe` (safe)
    device_timeout_ns: int = 0  # the device's own: it goes to its safe state if not written for so long; 0: has none
    off_below: float = 0.5  # what counts as off, for the minimum times
    step: float = 0.0  # smallest change that the device's register can hold; 0: not known
    safe_jump: bool = True  # the safe value is taken at once, whatever the slew limit

    @property
    def device(self) -> str:
        return self.point.partition("/")[0]


@dataclass(frozen=True, slots=True)
class ControllerSpec:
    """One `[[controller]]` as read; the class of its kind checks what it means."""

    name: str
    kind: str
    inputs: Mapping[str, str] = field(default_factory=dict)  # role → device/point
    outputs: Mapping[str, str] = field(default_factory=dict)  # role → output
    settings: Mapping[str, Setting] = field(default_factory=dict)
    stale_ns: int = 0  # age at which an input counts as missing; 0: three periods of the point
    line: int = 0  # in the gateway's file


@dataclass(frozen=True, slots=True)
class TwinSpec:
    """One `[[twin]]` as read: a bundle and which point each of its channels and inputs is."""

    name: str
    bundle: Path
    points: Mapping[str, str] = field(default_factory=dict)  # the bundle's name of it → device/point
    line: int = 0


@dataclass(frozen=True, slots=True)
class Cell:
    """Everything about acting that a gateway's file says. Without outputs and twins there is no loop."""

    period_ns: int = 100_000_000
    record_ns: int = 1_000_000_000  # of what the loop reads, one reading in this time is kept, and every change
    outputs: tuple[Output, ...] = ()
    controllers: tuple[ControllerSpec, ...] = ()
    twins: tuple[TwinSpec, ...] = ()
    trust: tuple[Path, ...] = ()  # public keys that bundles must be signed with
    trial: Mapping[str, float] = field(default_factory=dict)  # how models are watched: rollout/watch.py, Terms

    @property
    def wanted(self) -> bool:
        return bool(self.outputs or self.twins)
