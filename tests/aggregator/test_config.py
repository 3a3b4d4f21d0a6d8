"""The configuration: what init writes loads; every fault is told at once, with its line and remedy."""

from pathlib import Path

import pytest

from aggregator.config import ConfigError, load, template


def test_what_init_writes_loads(tmp_path: Path) -> None:
    file = tmp_path / "aggregator.toml"
    file.write_text(template(tmp_path, "0.0.0.0", ["twin.example.org"]))
    config = load(file)
    assert (config.state_dir, config.names) == (tmp_path, ("twin.example.org",))
    assert (config.sync_listen, config.enrolment_listen) == ("0.0.0.0:7443", "0.0.0.0:7444")
    assert (config.sync_address, config.enrolment_address) == ("twin.example.org:7443", "twin.example.org:7444")
    assert config.limits.gateways == 2_000
    file.write_text(template(tmp_path, "::1", []))
    assert (load(file).sync_listen, load(file).sync_address) == ("[::1]:7443", "")


def test_a_server_that_listens_everywhere_says_what_to_dial(tmp_path: Path) -> None:
    file = tmp_path / "aggregator.toml"
    file.write_text('[aggregator]\nstate_dir = "s"\n[sync]\nlisten = "[::]:7443"\n[enrolment]\nlisten = "0.0.0.0:9"\n')
    with pytest.raises(ConfigError) as caught:
        load(file)
    told = str(caught.value).splitlines()
    assert [line.removeprefix(f"{file}:").split(":")[0] for line in told] == ["4", "6"]
    assert told[1].endswith('add what they dial: address = "twin.example.org:9"')


def test_a_relative_state_is_beside_the_file(tmp_path: Path) -> None:
    file = tmp_path / "aggregator.toml"
    file.write_text('[aggregator]\nstate_dir = "state"\n[limits]\nbatches_per_s = 5\n')
    assert load(file).state_dir == tmp_path / "state"
    assert load(file).limits.batches_per_s == 5


def test_every_fault_at_once(tmp_path: Path) -> None:
    file = tmp_path / "aggregator.toml"
    file.write_text(
        '[aggregator]\nnames = [1]\n\n[sync]\nlisten = "here"\nport = 7\n[limits]\ngateways = -1\n'
        'batch_bytes = "big"\nwindow_batches = true\n[history]\nretention_days = 1.5\n[extra]\n'
    )
    with pytest.raises(ConfigError) as caught:
        load(file)
    told = str(caught.value).splitlines()
    lines = [line.removeprefix(f"{file}:").split(":")[0] for line in told]
    assert lines == ["2", "5", "6", "8", "9", "10", "12", "13", "1"]
    for needle in (
        "names = [1]",
        "host:port",
        "no such key; there are listen",
        "greater than 0",
        "state_dir is missing",
    ):
        assert needle in str(caught.value)


@pytest.mark.parametrize("content", [b"[aggregator\n", b"\xff"])
def test_no_toml(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "aggregator.toml"
    file.write_bytes(content)
    with pytest.raises(ConfigError, match="no TOML"):
        load(file)


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="aggregator init"):
        load(tmp_path / "none.toml")


def test_the_policy_of_decisions(tmp_path: Path) -> None:
    file = tmp_path / "aggregator.toml"
    head = f'[aggregator]\nstate_dir = "{tmp_path}"\n[decisions]\n'
    file.write_text(head + 'automatic = ["energy"]\nperson_only = ["signal_plan", "gw-*/pump/*"]\nwatch_s = 5\n')
    policy = load(file).decisions
    assert policy.automatic == ("energy",)
    assert policy.person_only == ("signal_plan", "gw-*/pump/*")
    assert policy.watch_s == 5
    file.write_text(
        head + 'automatic = "energy"\ncity_wide = 1.5\napprove_s = 0\nwatch_s = -1\nperson_only = ["a/b"]\nwho = 1\n'
    )
    with pytest.raises(ConfigError) as caught:
        load(file)
    told = [line.removeprefix(f"{file}:") for line in str(caught.value).splitlines()]
    assert [line.split(":")[0] for line in told] == ["4", "5", "6", "7", "8", "9"]
    for needle, line in zip(
        ("a list of texts", "a share", "from 1 to", "from 0 to", "with *", "no such key"), told, strict=True
    ):
        assert needle in line


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[web]\nlisten = "0.0.0.0:7480"\n', "without TLS only this machine"),
        ('[web]\ncertificate = "web.pem"\n', "goes with the other one"),
        ('[oidc]\nissuer = "http://id.example.org"\n', "write an https address"),
        ('[oidc]\nissuer = "https://id.example.org"\n', "is missing: as the issuer knows us"),
        ('[oidc]\nissuer = "https://id.example.org"\nclient_id = "c"\n', "nobody could come in"),
        ('[oidc]\nadmins = "staff"\n', "write a list of texts"),
    ],
)
def test_what_would_open_the_page_to_the_wrong_ones(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "aggregator.toml"
    path.write_text(f'[aggregator]\nstate_dir = "{tmp_path}"\n{text}')
    with pytest.raises(ConfigError, match=said):
        load(path)
