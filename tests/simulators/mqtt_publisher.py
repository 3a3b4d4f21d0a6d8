"""Publishes numbered readings: `python -m tests.simulators.mqtt_publisher PORT TOPIC COUNT [QOS] [PER_S]`.

Each message is `{"n": 17, "v": 17.5}`. It ends once the broker has acknowledged all of them.
"""

import sys
import threading
import time

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

INFLIGHT = 1000  # unacknowledged on the way to the broker


def main(port: str, topic: str, count: str, qos: str = "1", per_s: str = "0") -> None:
    connected = threading.Event()
    client = paho.Client(CallbackAPIVersion.VERSION2)
    client.on_connect = lambda *_: connected.set()
    client.max_inflight_messages_set(INFLIGHT)
    client.max_queued_messages_set(0)
    client.connect("127.0.0.1", int(port))
    client.loop_start()
    connected.wait(10)
    began, last = time.monotonic(), None
    for number in range(int(count)):
        last = client.publish(topic, f'{{"n": {number}, "v": {number}.5}}', qos=int(qos))
        if float(per_s):
            time.sleep(max(0.0, began + (number + 1) / float(per_s) - time.monotonic()))
    if last is not None:
        last.wait_for_publish(60)
    client.disconnect()
    client.loop_stop()


if __name__ == "__main__":
    main(*sys.argv[1:])
