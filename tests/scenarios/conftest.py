"""A broker for the simulated MQTT devices."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.simulators.mqtt_broker import mosquitto_broker


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[int]:
    """The port of a mosquitto on the loopback."""
    with mosquitto_broker(tmp_path / "mosquitto") as broker:
        yield broker.port
