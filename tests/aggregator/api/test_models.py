"""Rollouts over HTTP: what is told, who may change it, and that every change is in the audit."""

from contextlib import closing, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import httpx

from aggregator.api.parts import Parts
from aggregator.api.rest.models import ROUTES
from aggregator.api.site import site
from aggregator.rollout.engine import begun
from aggregator.rollout.policy import Policy
from aggregator.stores.catalogue import Catalogue
from aggregator.stores.rollouts import Rollouts
from protos.clock import SteppedClock
from tests.aggregator.api.test_site import Named
from tests.aggregator.rollout.test_engine import new

NS = 1_000_000_000


def parts(path: Path) -> Parts:
    @contextmanager
    def catalogue() -> Any:
        with closing(Catalogue(path)) as one:
            yield one

    config = SimpleNamespace(rollout=Policy())
    return cast(Parts, SimpleNamespace(catalogue=catalogue, clock=SteppedClock(wall_ns=90 * NS), config=config))


async def test_rollouts_are_told_and_changed(tmp_path: Path) -> None:
    path = tmp_path / "catalogue.sqlite"
    with closing(Catalogue(path)) as catalogue:
        begun(Rollouts(catalogue), new())
    transport = httpx.ASGITransport(site(parts(path), Named(), ROUTES))
    async with httpx.AsyncClient(transport=transport, base_url="http://site") as client:
        viewer, engineer = ({"x-role": role, "x-meant": "1"} for role in ("viewer", "engineer"))
        (told,) = (await client.get("/api/v1/rollouts", headers=viewer)).json()["items"]
        assert (told["id"], told["state"], told["wave"], told["waits_for"]) == (
            "r-1",
            "running",
            "shadow",
            "its beginning",
        )
        pause = "/api/v1/rollouts/r-1/pause"
        assert (await client.post(pause, headers=viewer, json={"why": "storm"})).status_code == 403
        answer = await client.post(pause, headers=engineer, json={"why": "storm"})
        assert (answer.status_code, answer.json()["reason"]) == (200, "storm")
        assert (await client.post(pause, headers=engineer, json={})).status_code == 409
        assert (await client.post("/api/v1/rollouts/r-1/explode", headers=engineer, json={})).status_code == 404
        assert (await client.get("/api/v1/rollouts/r-9", headers=viewer)).status_code == 404
        answer = await client.post("/api/v1/rollouts/r-1/abort", headers=engineer, json={"why": "no good"})
        assert answer.json()["state"] == "aborting"
    with closing(Catalogue(path)) as catalogue:
        acts = [(one.act, one.actor) for one in catalogue.audit()]
    assert acts == [
        ("rollout begin", "ada"),
        ("rollout pause", "somebody"),
        ("rollout pause refused", "somebody"),
        ("rollout abort", "somebody"),
    ]
