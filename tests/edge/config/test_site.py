"""A gateway's file: what it gives, and that every fault is said at once with its line and its remedy."""

from pathlib import Path

import pytest

from edge_agent.config import ConfigError, load
from edge_agent.config.faults import shown
from edge_agent.config.gateway import ID
from protos.tls import GATEWAY_ID

GOOD = """\
[gateway]
id = "north-1"
district = "north"
state_dir = "state"

[[broker]]
name = "cabinet"
host = "127.0.0.1"

[[device]]
name = "feeder"
profile = "eastron-sdm630"
connection = "tcp://192.0.2.7:502"
unit = 3
points = ["p_total", "e_total"]

[[device]]
name = "noise"
profile = "milesight-ws302"
connection = "cabinet"
topic = "application/1/device/a1"

[[device]]
name = "pv"
profile = "sunspec-inverter"
connection = "rtu:///dev/ttyUSB0?baud=9600&parity=E"
points = ["W"]
options = { lease_s = 5 }
"""


def faults_of(folder: Path, text: str) -> list[str]:
    file = folder / "site.toml"
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load(file)
    return [str(fault).replace(str(folder), "") for fault in caught.value.faults]


def test_a_good_file(tmp_path: Path) -> None:
    (tmp_path / "site.toml").write_text(GOOD)
    gateway = load(tmp_path / "site.toml")
    assert (gateway.id, gateway.district, gateway.name) == ("north-1", "north", "north-1")
    assert gateway.state_dir == tmp_path / "state"
    assert [device.name for device in gateway.devices] == ["feeder", "noise", "pv"]
    feeder, noise, pv = gateway.devices
    assert [point.name for point in feeder.profile.points] == ["p_total", "e_total"]
    assert feeder.unit == 3
    assert noise.connection == gateway.brokers[0].name == "cabinet"
    assert noise.domain == "environment"  # of the profile
    assert [point.name for point in pv.profile.points] == ["W", "W_SF"]  # a chosen point brings its scale
    assert pv.options == {"lease_s": "5"}
    assert gateway.buffer.commit_ms == 10_000
    assert gateway.buffer.commit_readings == 2000
    assert tmp_path / "site.toml" in gateway.files
    assert any(path.name == "eastron-sdm630.toml" for path in gateway.files)
    assert gateway.lines == {"feeder": 10, "noise": 17, "pv": 23}


def test_every_fault_at_once(tmp_path: Path) -> None:
    faults = faults_of(
        tmp_path,
        """\
[gateway]
id = "North 1"
distrct = "north"

[buffer]
max_mb = 2
commit_ms = "5"

[[device]]
name = "a"
profile = "eastron-sdm631"
connection = "tcp://h:99999"
units = 3

[[device]]
name = "a"
profile = "eastron-sdm120"
connection = "cabinet"
unit = 300
points = ["v", "w"]
options = { password = "geheim" }

[[broker]]
name = "b"
host = "h"
password = "geheim"
password_file = "missing"
""",
    )
    lines = [int(fault.split(":")[1]) for fault in faults]
    assert lines == sorted(lines)
    assert set(lines) == {1, 2, 3, 6, 7, 11, 12, 13, 16, 18, 19, 20, 21, 26, 27}
    text = "\n".join(faults)
    assert "geheim" not in text
    assert '/site.toml:3: gateway.distrct = "north": is not a key of [gateway]; did you mean district?' in faults
    assert "did you mean eastron-sdm630" in text
    assert "buffer.max_mb = 2: must be between 8 and 1000000" in text
    assert 'device[1].points[1] = "w": is no point of eastron-sdm120' in text
    assert all(": " in fault and "; " in fault for fault in faults)


@pytest.mark.parametrize(
    ("change", "wrong"),
    [
        (("rtu:///dev/ttyUSB0?baud=9600&parity=E", "rtu://dev/tty"), "names no serial port"),
        (("baud=9600", "baud=123"), "has baud = 123"),
        (("lease_s = 5", "leases = 5"), "is no known option; did you mean lease_s?"),
        (("lease_s = 5", "lease_s = true"), "does not have the right form"),
        (("lease_s = 5", "parity = 'X'"), "does not have the right form"),
        (("lease_s = 5", "lease_s = [5]"), "must be a text or a number"),
        (("parity=E", "speed=1"), "has the unknown setting speed"),
        (("tcp://192.0.2.7:502", "tcp://192.0.2.7:0"), "has no valid port"),
        (("tcp://192.0.2.7:502", "tcp://:502"), "names no host"),
        (("tcp://192.0.2.7:502", "tcp://192.0.2.7:x"), "has no valid port"),
        (("tcp://192.0.2.7:502", "tcp://me:geheim@192.0.2.7"), "holds a secret"),
        (('connection = "cabinet"', 'connection = "cellar"'), "is no broker of this file"),
        (('name = "noise"', 'name = "feeder"'), "is there twice"),
        (('topic = "application/1/device/a1"', "unit = 256"), "must be between 0 and 255"),
        (("unit = 3", 'topic = "x"'), "has no use for a Modbus device"),
        (('district = "north"', 'district = "no rth"'), "does not have the right form"),
        (('state_dir = "state"', 'profiles_dir = "nowhere"'), "is no directory"),
        (('host = "127.0.0.1"', 'host = "h"\nzone = "Mars/Olympus"'), "is no time zone"),
        (('host = "127.0.0.1"', 'host = "h"\nca_file = "site.toml"'), "has no use without TLS"),
        (('host = "127.0.0.1"', 'host = "h"\ntls = true\nkey_file = "site.toml"'), "has only one of"),
        (("[[broker]]", "[health]\nlisten = '127.0.0.1:99999'\n[[broker]]"), "has no valid port"),
        (("[[broker]]", "[broker]"), "must be a list of tables"),
        (('id = "north-1"', 'id = "north-1'), "is not TOML"),
    ],
)
def test_each_fault(tmp_path: Path, change: tuple[str, str], wrong: str) -> None:
    faults = faults_of(tmp_path, GOOD.replace(*change))
    assert any(wrong in fault for fault in faults), faults
    assert not any("geheim" in fault for fault in faults)


@pytest.mark.parametrize(
    ("address", "same"),
    [
        ("tcp://192.0.2.7", "tcp://192.0.2.7:502"),
        ("tls://meter.example.org", "tls://meter.example.org:802"),
        ("tcp://[2001:db8::7]:503", "tcp://[2001:db8::7]:503"),
        ("tcp://[2001:db8::7]", "tcp://[2001:db8::7]:502"),
        ("rtu:///dev/ttyS0?parity=N&baud=9600", "rtu:///dev/ttyS0?baud=9600&parity=N"),
        ("rtu:///dev/ttyS0", "rtu:///dev/ttyS0"),
    ],
)
def test_the_same_line_has_the_same_name(tmp_path: Path, address: str, same: str) -> None:
    (tmp_path / "site.toml").write_text(GOOD.replace("tcp://192.0.2.7:502", address))
    assert load(tmp_path / "site.toml").devices[0].connection == same


def test_one_serial_port_has_one_set_of_settings(tmp_path: Path) -> None:
    faults = faults_of(tmp_path, GOOD.replace("tcp://192.0.2.7:502", "rtu:///dev/ttyUSB0?baud=19200"))
    assert len(faults) == 1
    assert "has other settings than feeder on the same port" in faults[0]


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        load(tmp_path / "nowhere.toml")
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="is not UTF-8"):
        load(tmp_path / "binary.toml")
    with (tmp_path / "huge.toml").open("wb") as file:
        file.truncate(5 << 20)
    with pytest.raises(ConfigError, match="is larger than"):
        load(tmp_path / "huge.toml")


def test_secrets_come_from_files_and_credentials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = GOOD.replace('host = "127.0.0.1"', 'host = "h"\nusername = "u"\npassword_file = "pw"')
    file = tmp_path / "site.toml"
    file.write_text(text)
    (tmp_path / "pw").write_text("geheim")
    (tmp_path / "pw").chmod(0o644)
    assert "can be read by everyone" in "\n".join(faults_of(tmp_path, text))
    (tmp_path / "pw").chmod(0o600)
    assert load(file).brokers[0].password_file == tmp_path / "pw"
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    (credentials / "pw").write_text("other")
    (credentials / "pw").chmod(0o400)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(credentials))
    assert load(file).brokers[0].password_file == credentials / "pw"


def test_files_of_a_connection(tmp_path: Path) -> None:
    text = GOOD.replace("lease_s = 5", 'ca_file = "ca.pem", key_file = "key.pem"')
    faults = faults_of(tmp_path, text)
    assert any("device[2].options.ca_file" in fault for fault in faults)
    assert any("device[2].options.key_file" in fault for fault in faults)
    for name in ("ca.pem", "key.pem"):
        (tmp_path / name).touch(0o600)
    gateway = load(tmp_path / "site.toml")
    assert gateway.devices[2].options["ca_file"] == str(tmp_path / "ca.pem")


def test_own_profiles_come_first(tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    (own / "eastron-sdm630.toml").write_text("name = 1\n")
    text = GOOD.replace('state_dir = "state"', 'profiles_dir = "own"')
    faults = faults_of(tmp_path, text)
    assert any(fault.startswith("/own/eastron-sdm630.toml:1: name = 1: must be text") for fault in faults)
    assert not any("no known profile" in fault for fault in faults)


@pytest.mark.parametrize("one", ["north-1", "North", "a" * 63, "a" * 64, "", "-a", "a.b_c-d", "a b"])
def test_gateway_ids_are_those_of_certificates(one: str) -> None:
    import re

    assert bool(re.fullmatch(ID, one)) == bool(GATEWAY_ID.fullmatch(one))


def test_what_may_be_shown() -> None:
    assert shown("password", "x") == "***"
    assert shown("password_file", "x") == '"x"'
    assert shown("connection", "tcp://u:p@h:1") == '"tcp://***@h:1"'
    assert shown("connection", "a@tcp://h:1") == '"a@tcp://h:1"'  # found by fuzzing: an @ before the scheme
    assert len(shown("name", "x" * 500)) < 80
