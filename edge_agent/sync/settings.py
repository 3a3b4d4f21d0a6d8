"""What a gateway's file says about its link, and the limits that it does not say."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Self

from protos.link import DEAD_AFTER_MS, HEARTBEAT_MS, SERVER_NAME

METERED_EVERY_S = 60.0  # readings leave in one burst a minute: the modem may rest between
METERED_HEARTBEAT_MS = 30_000  # 100 bytes each way twice a minute: 0.6 MB a day
METERED_MB_A_DAY = 50.0
BATCH_BITS = 8 * 64 * 1024  # of a large batch
STATUS_EVERY_S = 10.0
METERED_STATUS_EVERY_S = 600.0


class _Aggregator(Protocol):
    @property
    def address(self) -> str: ...
    @property
    def enrol_address(self) -> str: ...
    @property
    def name(self) -> str: ...


class _Sync(Protocol):
    @property
    def window(self) -> int: ...
    @property
    def bandwidth_kbit(self) -> float: ...
    @property
    def metered(self) -> bool: ...
    @property
    def allowance_mb_a_day(self) -> float: ...
    @property
    def trust_ntp(self) -> bool: ...
    @property
    def heartbeat_s(self) -> float: ...
    @property
    def status_s(self) -> float: ...


class Config(Protocol):
    """The parts of a gateway's configuration that matter here."""

    @property
    def id(self) -> str: ...
    @property
    def state_dir(self) -> Path: ...
    @property
    def aggregator(self) -> _Aggregator: ...
    @property
    def sync(self) -> _Sync: ...


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything about the link. Addresses are host:port; empty ones are those that the enrolment brought."""

    address: str = ""
    enrol_address: str = ""
    name: str = SERVER_NAME  # DNS name that the aggregator's certificate must carry
    window: int = 64  # unacked batches; the aggregator's own limit counts where it is lower
    bandwidth_kbit: float = 0.0  # of what we send; 0: no cap
    metered: bool = False  # bytes cost money: larger bursts, fewer heartbeats, backlog only within the allowance
    allowance_mb_a_day: float = METERED_MB_A_DAY  # on a metered link, all together; live readings may overdraw it
    heartbeat_s: float = HEARTBEAT_MS / 1000
    status_s: float = STATUS_EVERY_S  # on a line that is not metered
    trust_ntp: bool = True  # believe the kernel where it says that its clock is synchronised
    retry_cap_s: float = 30.0

    @classmethod
    def of(cls, config: Config) -> Self:
        link, sync = config.aggregator, config.sync
        return cls(
            address=link.address,
            enrol_address=link.enrol_address,
            name=link.name,
            window=sync.window,
            bandwidth_kbit=sync.bandwidth_kbit,
            metered=sync.metered,
            allowance_mb_a_day=sync.allowance_mb_a_day,
            trust_ntp=sync.trust_ntp,
            heartbeat_s=sync.heartbeat_s,
            status_s=sync.status_s,
        )

    @property
    def heartbeat_ms(self) -> int:
        """What the gateway wishes for; the aggregator's Welcome decides.

        Under a tight cap a heartbeat waits behind a batch: four of them must be longer than two of those.
        """
        behind_ms = int(2 * BATCH_BITS / self.bandwidth_kbit / 4) if self.bandwidth_kbit else 0
        return max(METERED_HEARTBEAT_MS if self.metered else 0, behind_ms, int(self.heartbeat_s * 1000))

    @property
    def status_every_s(self) -> float:
        return METERED_STATUS_EVERY_S if self.metered else self.status_s


def dead_after_ms(heartbeat_ms: int) -> int:
    """Silence after which the other side is gone: as many heartbeats as agreed."""
    return heartbeat_ms * DEAD_AFTER_MS // HEARTBEAT_MS
