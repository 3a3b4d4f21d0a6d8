"""Passwords that are hashed at a hundredth of the cost: what is tested here is who comes in, not how long it takes."""

import pytest
from argon2 import PasswordHasher

from aggregator.access import passwords


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    hasher = PasswordHasher(time_cost=1, memory_cost=1 << 10, parallelism=1)
    monkeypatch.setattr(passwords, "HASHER", hasher)
    monkeypatch.setattr(passwords, "NOBODYS", hasher.hash("nobody's"))
