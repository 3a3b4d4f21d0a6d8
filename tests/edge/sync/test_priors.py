"""What the city believes: the newest counts, and what makes no sense is left out."""

from typing import Any

import pytest

from edge_agent.sync.priors import Believed, Priors
from protos import sync_pb2 as pb


def prior(k: int = 10, **changed: Any) -> pb.Prior:
    said = {
        "domain": "energy",
        "dt_ns": 100,
        "states": ["bus-1/voltage"],
        "mean": [231.0],
        "variance": [4.0],
        **changed,
    }
    return pb.Prior(k=k, **said)


def test_the_newest_of_each_domain_counts() -> None:
    priors = Priors()
    assert priors.take(prior(10))
    assert priors.take(prior(11, mean=[229.0]))
    assert priors.take(prior(9, mean=[200.0]))  # late: nothing changes
    assert priors.take(prior(3, domain="traffic", states=["link-1/vehicles"], mean=[7.0]))
    assert priors.get("bus-1/voltage") == Believed(229.0, 4.0, 1100)
    assert dict(priors).keys() == {"bus-1/voltage", "link-1/vehicles"}
    assert priors.get("bus-2/voltage") is None


@pytest.mark.parametrize(
    "changed",
    [
        {"mean": [float("nan")]},
        {"variance": [0.0]},
        {"variance": []},
        {"states": []},
        {"states": ["a/b", "a/b"], "mean": [1.0, 1.0], "variance": [1.0, 1.0]},
        {"dt_ns": 0},
        {"domain": ""},
        {"states": ["x" * 300]},
    ],
)
def test_what_makes_no_sense_is_left_out(changed: dict[str, Any]) -> None:
    priors = Priors()
    assert not priors.take(prior(**changed))
    assert list(priors) == []


def test_there_is_a_limit_of_domains() -> None:
    priors = Priors()
    assert [priors.take(prior(domain=f"d{i}", states=[f"a{i}/b"])) for i in range(40)].count(False) == 8
