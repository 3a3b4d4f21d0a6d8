"""The domains of a city. Each is a folder of the same five files, copied from `_blueprint` and loaded on use.

    __init__     the domain itself: its sites, and `example()`, a small one for the battery
    dynamics     f and Q: how the state moves. It lives here once; gateways get it compiled
    observe      h and H: how points see the state
    risk         what may go wrong, from a forecast
    decide       limits, and the plan that keeps them

A domain knows `aggregator.twin` and no other domain: what one needs of another comes in as exogenous input.
"""

from importlib import import_module
from types import ModuleType

DOMAINS: dict[str, str] = {  # name → module; tests/aggregator/domains/test_every_domain.py runs over them all
    "blueprint": "aggregator.domains._blueprint",
    "energy": "aggregator.domains.energy",
    "environment": "aggregator.domains.environment",
    "safety": "aggregator.domains.safety",
    "services": "aggregator.domains.services",
    "traffic": "aggregator.domains.traffic",
}


def module_of(name: str) -> ModuleType:
    """Raises KeyError for a domain that is not in the table."""
    return import_module(DOMAINS[name])
