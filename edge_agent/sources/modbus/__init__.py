"""Modbus TCP, RTU, RTU over TCP and TLS: one own codec for all, bulk decoding, one request in flight per line."""

from edge_agent.sources.modbus.source import Modbus

__all__ = ["Modbus"]
