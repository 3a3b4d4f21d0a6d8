"""How the gateway is: last committed (epoch, sequence), outputs and twins, tasks and their progress, counters.

    edge-agent status            once
    edge-agent status --live     outputs and twins twice a second, in place; ends with Ctrl-C, and with its terminal
    edge-agent status --json     all of it for programs; with --live one document a line

Each output has what was decided, what is applied, who has the say (local, central, hand, failsafe) and why. Every
reading ends in exactly one of stored, dropped (with a reason) or quarantined. Exit code: 0 healthy, 3 running but some
task makes no progress or nobody answers, 4 not running.
"""

import argparse
import asyncio
import contextlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edge_agent.buffer import BufferFault
from edge_agent.buffer.reader import Reader
from edge_agent.buffer.stored import key_of
from edge_agent.config import ConfigError, Gateway, load
from edge_agent.local import status
from edge_agent.screen import Rows, Screen, fail, show
from edge_agent.verbs.onlooker import onlooker
from edge_agent.verbs.run import CONFIG
from protos.clock import NS, SystemClock

HEALTHY, LATE, STOPPED = 0, 3, 4
NOT_RUNNING = "is not running"
LOOK_NS = NS // 2  # between two looks of --live


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("config", type=Path, nargs="?", default=CONFIG, help=f"the gateway's file (default {CONFIG})")
    parser.add_argument("--json", action="store_true", help="one JSON document for programs")
    parser.add_argument("--live", action="store_true", help="outputs and twins, again and again in place")


def run(args: argparse.Namespace) -> int:
    try:
        config = load(args.config)
    except ConfigError as error:
        return fail(error)
    if args.live:
        return asyncio.run(follow(config, as_json=args.json))
    report, silence = look(config)
    if report is None and silence != NOT_RUNNING:
        fail(f"{config.id} {silence}")
        return LATE
    if report is None:
        stopped = asleep(config)
        last = f"last commit epoch {stopped['epoch']} batch {stopped['sequence']}; state in {config.state_dir}"
        print(json.dumps(stopped) if args.json else f"{config.id} is not running; {last}")
        return STOPPED
    if args.json:
        print(json.dumps(report))
    else:
        tell(report)
    return HEALTHY if report["healthy"] else LATE


def ask(config: Gateway) -> dict[str, Any] | None:
    return status.ask(config.state_dir) if config.state_dir.is_dir() else None


async def follow(config: Gateway, *, as_json: bool) -> int:
    """Draw again and again until Ctrl-C or until nobody watches; a gateway that stops, or hangs, is waited for."""
    clock = SystemClock()
    with onlooker() as gone, Screen(live=not as_json) as screen:
        while not gone.is_set():
            begun_ns = clock.monotonic_ns()
            report, silence = await asyncio.to_thread(look, config)
            if as_json:
                print(json.dumps(report), flush=True)
            elif report is None:
                screen.draw(f"{config.id} {silence}", {})
            else:
                screen.draw(f"{head_of(report)}\n{control_head(report)}", tables_of(report))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(0, begun_ns + LOOK_NS - clock.monotonic_ns()) / NS):
                    await gone.wait()
    return HEALTHY


def look(config: Gateway) -> tuple[dict[str, Any] | None, str]:
    """The report, or why there is none: an agent whose main loop hangs takes the question and says nothing."""
    try:
        return ask(config), NOT_RUNNING
    except PermissionError:
        raise  # not the agent's fault; the command line says whose it is
    except (OSError, ValueError) as error:
        return None, f"does not say how it is: {error or type(error).__name__}"


def asleep(config: Gateway) -> dict[str, object]:
    """The report of a gateway that is not running: what its buffer says. (0, 0) when nothing is kept."""
    report: dict[str, object] = {"gateway": config.id, "running": False, "healthy": False, "epoch": 0, "sequence": 0}
    try:
        reader = Reader(config.state_dir, config.id)
    except BufferFault:
        return report
    try:
        newest = max((row.number for row in reader.rows()), default=0)
        report["epoch"], report["sequence"] = key_of(newest)
        report["gauges"] = {f"buffer_{name}": value for name, value in reader.account.gauges(()).items()}
    finally:
        reader.close()
    return report


def tell(report: Mapping[str, Any]) -> None:
    print(head_of(report))
    link = report["link"]
    state = "connected" if link["connected"] else f"not connected: {link['last_error'] or 'not yet'}"
    print(f"link to {link['address'] or 'no aggregator'}: {state}; clock by {link['clock_source']}")
    print(f"{control_head(report)}\n")
    for title, rows in tables_of(report).items():
        if rows:
            show(rows, as_json=False, title=title)
    show([{"task": name, **task} for name, task in report["tasks"].items()], as_json=False, title="tasks")
    told = [{"gauge": name, "value": f"{value:,.10g}"} for name, value in sorted(report["gauges"].items()) if value]
    show(told, as_json=False, title="gauges that are not zero (--json has all)")


def head_of(report: Mapping[str, Any]) -> str:
    how = "healthy" if report["healthy"] else f"NOT well: no progress in {', '.join(report['late'])}"
    return f"{report['gateway']} is running and {how}; last commit epoch {report['epoch']} batch {report['sequence']}"


def control_head(report: Mapping[str, Any]) -> str:
    control = report.get("control")
    if not control:
        return "control: none"
    late = f"{control['late']} late, {control['missed']} missed"
    ticks = f"{control['tick']} ticks of {control['period_ms']:g} ms, {late}"
    age_s = control["central"]["age_s"]
    return f"control: {control['mode']}; {ticks}" + ("" if age_s is None else f"; aggregator {span(age_s)} ago")


def tables_of(report: Mapping[str, Any]) -> dict[str, Rows]:
    """Outputs, twins and controllers that are out of use, within 80 columns."""
    control = report.get("control") or {"outputs": (), "twins": (), "disabled": {}}
    return {
        "outputs": [output_row(one) for one in control["outputs"]],
        "twins": [twin_row(one) for one in control["twins"]],
        "put aside": [{"controller": name, "why": why} for name, why in control["disabled"].items()],
    }


def output_row(one: Mapping[str, Any]) -> dict[str, object]:
    unit = "" if one["unit"] == "1" else f" {one['unit']}"
    why = [f"{one['by']}: {one['why']}" if one["by"] else one["why"]]
    if one["hand_s"] is not None:
        why.append(f"hand ends in {span(one['hand_s'])}")
    if one["model"]:
        why.append(f"model {one['model']}")
    if one["limited"]:
        why.append(f"limited by {one['limited']}")
    if one["trouble"]:
        why.append(f"! {one['trouble']}")
    return {
        "output": one["output"],
        "decided": "-" if one["value"] is None else f"{one['value']:.5g}{unit}",
        "applied": "-" if one["applied"] is None else f"{one['applied']:.5g}{unit}",
        "by whom": one["authority"],
        "for": span(one["valid_ms"] / 1000) if one["valid_ms"] else "-",
        "why": "; ".join(why),
    }


def twin_row(one: Mapping[str, Any]) -> dict[str, object]:
    return {
        "twin": one["twin"],
        "model": one["model"],
        "slot": one["slot"],
        "NIS": "-" if one["nis"] is None else f"{one['nis']:.2f}",
        "coasting": span(one["coasting_s"]) if one["coasting_s"] else "no",
    }


def span(seconds: float) -> str:
    """A time as short as people say it."""
    if seconds < 100:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
