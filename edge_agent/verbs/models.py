"""The models that this gateway's twins run: which there are, bring a new one, take one back.

    edge-agent models list                              the slots of every twin, and what was taken back
    edge-agent models check tank-2.ctb                  signature, digests and trial; nothing is changed
    edge-agent models install tank-2.ctb --twin tank    the same, then it is the candidate of this twin
    edge-agent models rollback tank                     the candidate, or else the current model, goes back

A candidate steps beside the model in service, then is applied and watched, then stays: the rules are in
edge_agent/rollout/slots.py. A running agent is asked to do it; without one it is done here, and the agent begins with
it. Exit code 0 when done, 1 when the bundle was rejected or nothing could be done.
"""

import argparse
import asyncio
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from edge_agent.config import ConfigError, Gateway, load
from edge_agent.local import door
from edge_agent.plant import fit_of
from edge_agent.rollout.bundles import check_fit, read_bundle, read_trust
from edge_agent.rollout.faults import NoSuchTwin, RolloutFault
from edge_agent.rollout.models import Models
from edge_agent.rollout.requests import SOCKET, answer
from edge_agent.rollout.shelf import Shelf
from edge_agent.rollout.state import Model, Phase, State
from edge_agent.rollout.trial import Limits, try_out
from edge_agent.rollout.watch import Terms
from edge_agent.screen import fail, show
from edge_agent.verbs.run import CONFIG
from protos.bundle import Bundle, BundleError
from protos.clock import SystemClock

DIGEST_SHOWN = 8


def arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    for name, line in (
        ("list", "the slots of every twin, and what was taken back"),
        ("check", "signature, digests and trial of a bundle; nothing is changed"),
        ("install", "try a bundle and make it the candidate of a twin"),
        ("rollback", "take the candidate back, or else the current model"),
    ):
        action = actions.add_parser(name, help=line, description=line)
        if name in ("check", "install"):
            action.add_argument("file", type=Path, help="the bundle")
            help_twin = "the twin it is for" + (": also check whether it fits" if name == "check" else "")
            action.add_argument("--twin", required=name == "install", help=help_twin)
        if name == "install":
            action.add_argument("--again", action="store_true", help="even if it was taken back before")
        if name == "rollback":
            action.add_argument("twin", help="the twin")
        if name in ("install", "rollback"):
            action.add_argument("--why", default="by hand", help="is written down with it (default: by hand)")
        action.add_argument("-c", "--config", type=Path, default=CONFIG, help=f"the gateway's file (default {CONFIG})")
        action.add_argument("--json", action="store_true", help="JSON for programs")


def run(args: argparse.Namespace) -> int:
    actions = {"list": tell, "check": check, "install": install, "rollback": rollback}
    try:
        return actions[args.action](load(args.config), args)
    except (ConfigError, RolloutFault, BundleError, OSError, ValueError) as error:
        return refuse(str(error), args)


def refuse(message: str, args: argparse.Namespace) -> int:
    if args.json:
        print(json.dumps({"ok": False, "said": message}))
        return 1
    return fail(message)


# ---- list


def tell(config: Gateway, args: argparse.Namespace) -> int:
    asked = door.ask(config.state_dir, SOCKET, {"do": "watched"}) if config.state_dir.is_dir() else None
    watched: Mapping[str, float] = asked["watched"] if asked else {}
    states = {twin.name: Shelf(config.state_dir, twin.name).read() for twin in config.cell.twins}
    rows = [row for twin, state in states.items() for row in slots(twin, state, watched.get(twin))]
    refused = [
        {"twin": twin, "digest": digest, "why": why} for twin, state in states.items() for digest, why in state.refused
    ]
    if args.json:
        print(json.dumps({"models": rows, "refused": refused, "running": asked is not None}))
        return 0
    told = [{key: row[key] for key in ("twin", "model", "state", "since", "why")} for row in rows]
    show(told, as_json=False, title="models" if asked else "models (no agent is running)")
    if refused:
        told = [{**row, "digest": row["digest"][:DIGEST_SHOWN]} for row in refused]
        show(told, as_json=False, title="taken back, not tried again without --again")
    return 0


def slots(twin: str, state: State, watched_s: float | None) -> Iterator[dict[str, object]]:
    """A row for each slot that holds something."""
    named = {"current": state.current, "candidate": state.candidate, "previous": state.previous}
    if not state.digests:
        yield {"twin": twin, "slot": "none", "model": "", "digest": "", "state": "without", "since": "", "why": ""}
    for slot, model in named.items():
        if model is not None:
            yield {
                "twin": twin,
                "slot": slot,
                "model": f"{model.name} {model.version}",
                "digest": model.digest,
                "state": standing(slot, state.phase, watched_s),
                "since": time_text(model),
                "why": model.why,
            }


def standing(slot: str, phase: Phase, watched_s: float | None) -> str:
    if slot == "previous":
        return "previous"
    if slot == "current":
        return "beside" if phase is Phase.PROBATION else "in service"
    terms = Terms()
    least = terms.shadow_s if phase is Phase.SHADOW else terms.probation_s
    return str(phase) if watched_s is None else f"{phase} {watched_s:.0f}/{least:.0f} s"


def time_text(model: Model) -> str:
    import numpy as np

    return f"{np.datetime64(model.since_ns // (60 * 10**9), 'm')}Z".replace("T", " ")


# ---- check, install, rollback


def check(config: Gateway, args: argparse.Namespace) -> int:
    data = read_bundle(args.file)
    bundle = Bundle.open(data, read_trust(config.cell.trust))
    if args.twin:
        specs = {twin.name: twin for twin in config.cell.twins}
        if args.twin not in specs:
            raise NoSuchTwin(f"{args.twin}: no such twin; the gateway's file has {', '.join(specs) or 'none'}")
        check_fit(specs[args.twin], bundle, None, fit_of(config))
    asyncio.run(try_out(bundle, data, Limits()))
    manifest = bundle.manifest
    found = {
        "bundle": bundle.title,
        "digest": bundle.digest,
        "signer": bundle.signer,
        "states": [one.name for one in manifest.states],
        "channels": [one.name for one in manifest.channels],
        "inputs": [one.name for one in manifest.inputs],
        "network": manifest.network is not None,
        "golden": manifest.golden,
        "bytes": len(data),
    }
    if args.json:
        print(json.dumps({"ok": True, "said": "passed its trial", **found}))
        return 0
    shown = {key: ", ".join(value) if isinstance(value, list) else str(value) for key, value in found.items()}
    rows = [{"what": key, "is": value} for key, value in shown.items()]
    show(rows, as_json=False, title=f"{args.file.name}: passed its trial")
    return 0


def install(config: Gateway, args: argparse.Namespace) -> int:
    request = {"do": "install", "twin": args.twin, "why": args.why, "again": args.again}
    return do(config, args, request, read_bundle(args.file))


def rollback(config: Gateway, args: argparse.Namespace) -> int:
    return do(config, args, {"do": "rollback", "twin": args.twin, "why": args.why})


def do(config: Gateway, args: argparse.Namespace, request: Mapping[str, object], body: bytes = b"") -> int:
    """Ask the running agent, or do it here where none runs."""
    asked = door.ask(config.state_dir, SOCKET, request, body) if config.state_dir.is_dir() else None
    done: Mapping[str, Any] = asked if asked is not None else asyncio.run(alone(config, request, body))
    if not done["ok"]:
        return refuse(f"{args.file}: {done['said']}" if body else done["said"], args)
    if args.json:
        print(json.dumps(done))
    else:
        print(done["said"] if asked is not None else f"{done['said']}; no agent is running")
    return 0


async def alone(config: Gateway, request: Mapping[str, object], body: bytes) -> Mapping[str, object]:
    models = Models(config.state_dir, read_trust(config.cell.trust), SystemClock(), fit_of(config))
    try:
        await models.adopt(config.cell.twins, to_run=False)
        return await answer(models, request, body)
    finally:
        models.close()
