"""The link to the aggregator: one stream over mutual TLS, live first, nothing lost through any outage."""

from edge_agent.sync.identity import Identity
from edge_agent.sync.settings import Settings
from edge_agent.sync.surroundings import Command
from edge_agent.sync.sync import Sync
from edge_agent.sync.trusted import TrustedTime

__all__ = ["Command", "Identity", "Settings", "Sync", "TrustedTime"]
