"""What a gateway's file says about the controllers beside it."""

from pathlib import Path

import pytest

from edge_agent.config import ConfigError, Gateway, load

HEAD = """
[gateway]
id = "gw-1"
district = "north"
state_dir = "state"
[[broker]]
name = "cabinet"
host = "127.0.0.1"
[[device]]
name = "meter"
profile = "shelly-pro-3em"
connection = "cabinet"
topic = "cabinet/meter"
"""


def read(folder: Path, text: str = "") -> Gateway:
    file = folder / "gateway.toml"
    file.write_text(HEAD + text)
    return load(file)


def test_without_a_word_nothing_is_offered(tmp_path: Path) -> None:
    local = read(tmp_path).local
    assert local.modbus.listen == local.mqtt.broker == ""
    assert local.mqtt.root == "citytwin/gw-1"
    assert local.socket is None


def test_each_can_be_chosen(tmp_path: Path) -> None:
    local = read(
        tmp_path,
        '[local.modbus]\nlisten = "[::1]:1502"\nheartbeat_s = 2\n'
        '[local.mqtt]\nbroker = "cabinet"\nroot = "twin/gw-1"\nleast_s = 0.5\n'
        '[local.grpc]\nsocket = "/run/citytwin/local.sock"\n',
    ).local
    assert (local.modbus.listen, local.modbus.heartbeat_s) == ("[::1]:1502", 2)
    assert (local.mqtt.broker, local.mqtt.root, local.mqtt.least_s) == ("cabinet", "twin/gw-1", 0.5)
    assert local.socket == Path("/run/citytwin/local.sock")
    near = read(tmp_path, '[local.grpc]\nsocket = "local.sock"\n').local.socket
    assert near == tmp_path / "state" / "local.sock"


def test_all_faults_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        read(
            tmp_path,
            '[health]\nlisten = "127.0.0.1:1502"\n[local.modbus]\nlisten = "127.0.0.1:1502"\n'
            '[local.mqtt]\nbroker = "cabinett"\nroot = "a/#"\nleast_s = 20\n[local.grpc]\nsoket = "x"\n',
        )
    said = str(caught.value)
    for one in (
        "local.modbus.listen = \"127.0.0.1:1502\": is [health] listen already",
        "local.mqtt.broker = \"cabinett\": is no broker of this file; known: cabinet",
        "local.mqtt.root = \"a/#\": does not have the right form",
        "local.mqtt.most_s = 10.0: is less than least_s = 20",
        "local.grpc.soket = \"x\": is not a key of [local.grpc]; did you mean socket?",
    ):  # fmt: skip
        assert one in said, said


def test_a_gateway_would_not_hear_itself(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="holds the topic of meter"):
        read(tmp_path, '[local.mqtt]\nbroker = "cabinet"\nroot = "cabinet"\n')


def test_ports_end_at_65535(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="has no valid port"):
        read(tmp_path, '[local.modbus]\nlisten = "127.0.0.1:70000"\n')
