"""What the rules are told of the fleet, and what `[rollout]` may say."""

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from aggregator.config import ConfigError, load
from aggregator.rollout.reports import reports
from aggregator.stores.catalogue import Gateway
from protos.vitals import ModelVitals


@dataclass
class Live:
    connected: bool = True
    gauges: dict[str, float] = field(default_factory=dict)
    facts: dict[str, str] = field(default_factory=dict)


def gateway(name: str, state: str = "enrolled") -> Gateway:
    return Gateway(name, state, "north", 0, "", 0, 0, b"")


def test_who_is_there_and_what_they_say() -> None:
    told = ModelVitals(current="a" * 64, judged_total=3.0)
    live = {
        "gw-a": Live(True, told.gauges("tank"), told.facts("tank")),
        "gw-b": Live(False, told.gauges("tank"), told.facts("tank")),
        "gw-c": Live(),  # connected just now, nothing told yet
        "gw-e": Live(True, {}, {"district": "north"}),
        "gw-r": Live(True, told.gauges("tank"), told.facts("tank")),
    }
    fleet = [*map(gateway, ("gw-a", "gw-b", "gw-c", "gw-d", "gw-e")), gateway("gw-r", "revoked")]
    found = reports("tank", fleet, live)
    assert {name: (one.here, one.vitals) for name, one in found.items()} == {
        "gw-a": (True, told),
        "gw-b": (False, told),
        "gw-c": (False, None),
        "gw-d": (False, None),
        "gw-e": (True, None),
    }


def test_what_the_configuration_may_say(tmp_path: Path) -> None:
    file = tmp_path / "aggregator.toml"
    head = f'[aggregator]\nstate_dir = "{tmp_path}"\n[rollout]\n'
    file.write_text(head + 'windows = ["Mon-Fri 01:00-05:00"]\napprove = ["all"]\nshadow_gateways = 2\nwave_s = 60\n')
    policy = load(file).rollout
    assert (policy.windows, policy.approve, policy.shadow_gateways) == (("Mon-Fri 01:00-05:00",), ("all",), 2)
    file.write_text(
        head + 'windows = ["at night"]\napprove = ["some"]\nshadow_gateways = 9\ncommits = 2\nmargin = 0.5\ngates = 1\n'
    )
    with pytest.raises(ConfigError) as error:
        load(file)
    words = ("Mon-Fri 01:00-05:00", "no such wave: some", "write 1, 2 or 3", "a share from 0", "at most 0.2", "true or")
    assert [word for word in words if word not in str(error.value)] == []
