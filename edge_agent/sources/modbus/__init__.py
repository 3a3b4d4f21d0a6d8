"""Modbus TCP, RTU, RTU over TCP and TLS: one own codec for all, bulk decoding, one request in flight per line."""

from edge_agent.sources.modbus.faults import ModbusError, NoAnswer, Refused
from edge_agent.sources.modbus.identify import identify
from edge_agent.sources.modbus.source import Modbus, link_to

__all__ = ["Modbus", "ModbusError", "NoAnswer", "Refused", "identify", "link_to"]
