"""What an agent loads before it knows its configuration: memory that every gateway pays for, and time of each start."""

import subprocess
import sys

import pytest

HEAVY = {  # package → who needs it, and only then
    "cryptography": "keys, bundles and orders",
    "rich": "verbs that draw",
    "ai_edge_litert": "twins with a network",
    "aiomqtt": "brokers",
    "serial": "RTU lines",
    "pymodbus": "simulated devices",
    "scipy": "the aggregator",
}


def loaded_by(module: str) -> set[str]:
    told = f"import sys, {module}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True)
    return {name.partition(".")[0] for name in done.stdout.split()}


@pytest.mark.parametrize("module", ["edge_agent.cli", "edge_agent.agent", "edge_agent.verbs.run"])
def test_an_agent_loads_what_it_needs(module: str) -> None:
    assert not loaded_by(module) & set(HEAVY)


def test_what_is_needed_is_loaded() -> None:
    """Negative control: where a key is at hand the package is seen."""
    assert "cryptography" in loaded_by("protos.tls")
