"""Every kind of MQTT payload: bytes to readings is a pure function that raises PayloadError and nothing else."""

import base64
import json
import struct
from collections.abc import Sequence
from zoneinfo import ZoneInfo

from edge_agent.profile import Device, Field, MqttManners, PointSpec, Profile
from edge_agent.sources.mqtt import sparkplug_b_pb2 as spb
from edge_agent.sources.mqtt.payloads import resolve
from edge_agent.sources.mqtt.payloads.kind import Moment
from edge_agent.sources.mqtt.reading import PayloadError
from tests.bench.parsers import Parser

NOW = Moment(10**12, 1_790_000_000_000_000_000)


def parser(
    payload: str, root: str, places: Sequence[tuple[str, str]], seeds: Sequence[bytes], topics: Sequence[str] = (),
    time: tuple[str, str] = ("", "unix"), profile: str = "x",
) -> Parser:  # fmt: skip
    """`places` are topic and path of the points; a message is taken in each of `topics`, or of the kind's own."""
    points = tuple(
        PointSpec(f"p{number}", quantity, unit, place=Field(*place))
        for number, place in enumerate(places)
        for quantity, unit in [("text", "1") if number == 2 else ("temperature", "degC")]
    )
    manners = MqttManners(payload, time_path=time[0], time_format=time[1])
    device = Device("d", Profile(profile, "", "energy", "", "C", "", points, mqtt=manners), "broker", topic=root)
    kind = resolve(payload)([device], ZoneInfo("Europe/Berlin"))
    heard = [(one, one.replace("+", "em:0")) for one in kind.filters()]
    heard = [pair for pair in heard if not topics or pair[1] in topics]

    def parse(data: bytes) -> None:
        raised: PayloadError | None = None
        for wanted, topic in heard:
            try:
                reports, _ = kind.take(wanted, topic, data, NOW)
            except PayloadError as error:
                raised = error
                continue
            for report in reports:
                report.group.convert(report.raws)
        if raised is not None:
            raise raised

    return Parser(seeds, parse, (PayloadError,))


def dumps(*documents: object) -> list[bytes]:
    return [json.dumps(document).encode() for document in documents]


JSON = {"time": "2026-03-01T12:00:00Z", "a": {"b": [1.5, {"c": True}]}, "t": -3, "s": "on", "n": None, "big": 2**70}


def as_json() -> Parser:
    seeds = [*dumps(JSON, [JSON, JSON], 5, "x", [[[[1]]]]), b'{"a":1e999,"t":NaN}', b"[" * 500]
    return parser("json", "d", [("", "a.b[0]"), ("", "t"), ("", "s")], seeds, time=("time", "iso"))


def csv() -> Parser:
    seeds = [b"1.5;2;on\n", b"time,t,u\n1700000000,21.5,x\n1700000060,22,y\n", b'"a ""b""",3\n', b"1\t2\t3"]
    return parser("csv", "d", [("", "0"), ("", "1"), ("", "2")], seeds, time=("0", "unix"))


def raw() -> Parser:
    return parser("raw", "d", [("", "")], [b"21.5", b"ON", b" -1e3 ", "1\u0663".encode(), b"0x10", b"inf", b"1_000"])


def packed() -> Parser:
    seeds = [struct.pack("<hfBd", -3, 21.5, 8, 1e300), bytes(4), b"\xff" * 16]
    return parser("packed", "d", [("", "<h@0"), ("", "<f@2"), ("", "<B@6.3")], seeds)


def tasmota() -> Parser:
    document = {"Time": "2018-01-17T18:59:50", "ENERGY": {"Total": 1.956, "Power": [9, 8], "Voltage": 231}}
    places = [("SENSOR", "ENERGY.Total"), ("SENSOR", "ENERGY.Voltage"), ("STATE", "Wifi.SSId")]
    return parser("tasmota", "plug", places, [*dumps(document, {"Wifi": {"SSId": "x"}}), b"Online", b"Offline"],
                  time=("Time", "local"))  # fmt: skip


def shelly() -> Parser:
    delta = {"src": "s", "method": "NotifyStatus", "params": {"ts": 1.7e9, "em:0": {"a_act_power": 1.0, "w": "x"}}}
    places = [("", "em:0.a_act_power"), ("", "em:0.a_voltage"), ("", "em:0.w")]
    seeds = [*dumps(delta, {"id": 1, "result": delta["params"]}, {"a_act_power": 2}), b"false"]
    return parser("shelly", "s", places, seeds, time=("ts", "unix"))


def zigbee2mqtt() -> Parser:
    seeds = [*dumps({"temperature": 27.3, "humidity": 44, "last_seen": "x"}, {"state": "offline"}), b"offline"]
    return parser("zigbee2mqtt", "hall/north", [("", "temperature"), ("", "humidity"), ("", "last_seen")], seeds)


SENSOR = "milesight-am319"  # whose channels we decode ourselves
MILESIGHT = bytes.fromhex("0175640367f800046868077d2c010a7d1e00")


def chirpstack() -> Parser:
    places = [("", "temperature"), ("", "pm2_5"), ("", "co2")]
    data = base64.b64encode(MILESIGHT).decode()
    up = {"deduplicationId": "u", "time": "2026-03-01T12:00:00.123456789+00:00", "deviceInfo": {"devEui": "x"}}
    seeds = dumps({**up, "object": {"temperature": 21.5, "pm2_5": 3}}, {**up, "data": data}, {**up, "data": "ü"})
    return parser(
        "chirpstack", "application/1/device/2", places, seeds, time=("time", "iso"), profile="milesight-am319"
    )


def ttn() -> Parser:
    places = [("", "temperature"), ("", "pm2_5"), ("", "co2")]
    data = base64.b64encode(MILESIGHT).decode()
    up = {"received_at": "2020-02-12T15:15:45.7Z", "end_device_ids": {"device_id": "d"}}
    seeds = dumps(
        {**up, "uplink_message": {"f_cnt": 1, "decoded_payload": {"temperature": 21.5}}},
        {**up, "uplink_message": {"frm_payload": data}},
    )
    return parser("ttn", "v3/a@t/devices/d", places, seeds, time=("received_at", "iso"), profile=SENSOR)


def sparkplug() -> Parser:
    """Each input is taken as a birth, as data, as a death, of the node and of a device."""
    metrics = [
        spb.Metric(name="bdSeq", datatype=8, long_value=3),
        spb.Metric(name="t", alias=7, datatype=10, double_value=21.5, timestamp=1_700_000_000_000),
        spb.Metric(name="n", alias=8, datatype=3, int_value=2**32 - 5, is_historical=True),
        spb.Metric(name="s", alias=9, datatype=12, string_value="on"),
    ]
    birth = spb.Payload(timestamp=1_700_000_000_000, seq=0, metrics=metrics)
    data = spb.Payload(timestamp=2**63, seq=1, metrics=[spb.Metric(alias=7, double_value=1e308, is_null=True)])
    seeds = [birth.SerializeToString(), data.SerializeToString()]
    return parser("sparkplug", "city/north", [("", "t"), ("", "n"), ("", "s")], seeds)
