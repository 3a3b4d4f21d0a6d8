"""What a gateway is told: its own TOML file and the device profiles that it names, read and checked.

    load(path) → Gateway        every value with its default, every device with its profile
    ConfigError                 all faults at once, each `file:line: key = value: what is wrong; what to do`

The tables in `gateway.py` and `profiles.py` say which keys there are; the JSON schemas under `firmware_configs/`
are made of the same tables (`schema.py`), so that an editor and the loader say the same.
"""

from edge_agent.config.faults import ConfigError, Fault
from edge_agent.config.gateway import (
    AggregatorAddress,
    BufferLimits,
    Gateway,
    HealthPlaces,
    SyncLimits,
)
from edge_agent.config.library import Library
from edge_agent.config.site import load

__all__ = [
    "AggregatorAddress",
    "BufferLimits",
    "ConfigError",
    "Fault",
    "Gateway",
    "HealthPlaces",
    "Library",
    "SyncLimits",
    "load",
]
