"""A Sparkplug B edge node with one device, as its own process: `python -m tests.simulators.sparkplug_node PORT`.

It gives birth on connecting and whenever asked to, obeys commands, and takes lines on stdin: `data VALUE` sends the
device's level by alias, `lose` skips a sequence number as a lost message would, `history VALUE` sends a stored value,
`devicedeath`, and `vanish`, which ends it without a goodbye so that the broker publishes its will.
"""

import os
import sys
import threading
import time
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from edge_agent.sources.mqtt import sparkplug_b_pb2 as spb

FLOAT, BOOLEAN, UINT64 = 9, 11, 8
TOPIC = "spBv1.0/plant/{}/node1"


def now_ms() -> int:
    return time.time_ns() // 1_000_000


class Node:
    def __init__(self, port: int) -> None:
        self.seq, self.aliases, self.level, self.pump = 0, 10, 1.0, False
        self.lock = threading.Lock()  # paho's thread and the reader of stdin both publish
        self.client = paho.Client(CallbackAPIVersion.VERSION2)
        self.client.on_connect = self.connected
        self.client.on_message = self.ordered
        self.client.will_set(TOPIC.format("NDEATH"), self.will().SerializeToString(), qos=1)
        self.client.connect("127.0.0.1", port)

    def will(self) -> spb.Payload:
        return spb.Payload(timestamp=now_ms(), metrics=[spb.Metric(name="bdSeq", datatype=UINT64, long_value=0)])

    def connected(self, client: paho.Client, *_: Any) -> None:
        client.subscribe([(TOPIC.format("NCMD"), 1), (TOPIC.format("DCMD") + "/press", 1)])
        self.birth()

    def ordered(self, client: paho.Client, userdata: Any, message: paho.MQTTMessage) -> None:
        for metric in spb.Payload.FromString(bytes(message.payload)).metrics:
            if metric.name == "Node Control/Rebirth" and metric.boolean_value:
                self.birth()
            elif metric.name == "Pump/On":
                self.pump = metric.boolean_value
                self.data(spb.Metric(alias=self.aliases + 1, timestamp=now_ms(), boolean_value=self.pump))

    def birth(self) -> None:
        """Aliases are given anew each time, as a restarted node may."""
        with self.lock:
            self.seq, self.aliases = -1, self.aliases + 10
            self.send("NBIRTH", spb.Metric(name="bdSeq", datatype=UINT64, long_value=0))
            level = spb.Metric(name="Tank/Level", alias=self.aliases, datatype=FLOAT, float_value=self.level)
            pump = spb.Metric(name="Pump/On", alias=self.aliases + 1, datatype=BOOLEAN, boolean_value=self.pump)
            self.send("DBIRTH", level, pump)

    def data(self, *metrics: spb.Metric) -> None:
        with self.lock:
            self.send("DDATA", *metrics)

    def send(self, kind: str, *metrics: spb.Metric) -> None:
        self.seq = (self.seq + 1) & 0xFF
        message = spb.Payload(timestamp=now_ms(), seq=self.seq, metrics=metrics)
        topic = TOPIC.format(kind) + ("/press" if kind.startswith("D") else "")
        self.client.publish(topic, message.SerializeToString())

    def obey(self, line: str) -> None:
        word, _, rest = line.strip().partition(" ")
        if word == "data":
            self.level = float(rest)
            self.data(spb.Metric(alias=self.aliases, timestamp=now_ms(), float_value=self.level))
        elif word == "history":
            metric = spb.Metric(
                alias=self.aliases, timestamp=now_ms() - 60_000, is_historical=True, float_value=float(rest)
            )
            self.data(metric)
        elif word == "lose":
            self.seq += 1
        elif word == "devicedeath":
            with self.lock:
                self.send("DDEATH")
        elif word == "vanish":
            os._exit(1)


def main(port: str) -> None:
    node = Node(int(port))
    node.client.loop_start()
    print("ready", flush=True)
    for line in sys.stdin:
        node.obey(line)


if __name__ == "__main__":
    main(*sys.argv[1:])
