"""MQTT 3.1.1 and 5: many kinds of payload, acknowledged once durable, no reading without its age."""

from edge_agent.sources.mqtt.source import Mqtt

__all__ = ["Mqtt"]
