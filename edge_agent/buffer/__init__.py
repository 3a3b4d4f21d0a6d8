"""Readings on the gateway's own disk: durable before anybody is told so, bounded, and kept through any outage.

writer      the front: `Buffer`, and the one thread
cabinet     lock, epoch file, ballast and store, kept alive through full disks and damage
store       batches and their account, changed in one transaction
retention   what goes when there is no room: rules without IO
database    SQLite, durable as asked; salvage and carve bring rows home from a damaged one
"""

from edge_agent.buffer.faults import BufferFault, Closed, Locked, Unsafe
from edge_agent.buffer.stored import Backlog, Refused, Stored
from edge_agent.buffer.writer import Buffer

__all__ = ["Backlog", "Buffer", "BufferFault", "Closed", "Locked", "Refused", "Stored", "Unsafe"]
