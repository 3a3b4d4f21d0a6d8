"""A gateway killed between receiving and committing loses no MQTT message; one that acknowledges on receipt does."""

from pathlib import Path

import pytest

from tests.simulators.mqtt_broker import mosquitto_broker
from tests.simulators.mqtt_crash import crash

pytestmark = pytest.mark.system("mosquitto")


@pytest.mark.parametrize("version", [4, 5])
async def test_killed_before_the_commit_nothing_is_lost(tmp_path: Path, version: int) -> None:
    with mosquitto_broker(tmp_path / "broker") as broker:
        toll = await crash(broker, tmp_path / "stored", version=version, ack="commit", messages=300)
    assert toll.lost == 0


async def test_acknowledging_on_receipt_loses_messages(tmp_path: Path) -> None:
    """Negative control: the automatic acknowledgement of MQTT clients breaks the promise."""
    with mosquitto_broker(tmp_path / "broker") as broker:
        toll = await crash(broker, tmp_path / "stored", version=5, ack="receipt", messages=300)
    assert toll.lost > 0
