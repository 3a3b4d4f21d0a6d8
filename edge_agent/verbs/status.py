"""How the gateway is: last committed (epoch, sequence), tasks and their progress, counters.

Every reading ends in exactly one of stored, dropped (with a reason) or quarantined. Exit code: 0 healthy, 3 running
but some task makes no progress, 4 not running.
"""

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edge_agent.buffer import BufferFault
from edge_agent.buffer.reader import Reader
from edge_agent.buffer.stored import key_of
from edge_agent.config import ConfigError, Gateway, load
from edge_agent.local import status
from edge_agent.screen import fail, show
from edge_agent.verbs.run import CONFIG

HEALTHY, LATE, STOPPED = 0, 3, 4


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("config", type=Path, nargs="?", default=CONFIG, help=f"the gateway's file (default {CONFIG})")
    parser.add_argument("--json", action="store_true", help="one JSON document for programs")


def run(args: argparse.Namespace) -> int:
    try:
        config = load(args.config)
    except ConfigError as error:
        return fail(error)
    report = status.ask(config.state_dir) if config.state_dir.is_dir() else None
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
    how = "healthy" if report["healthy"] else f"NOT well: no progress in {', '.join(report['late'])}"
    print(f"{report['gateway']} is running and {how}; last commit epoch {report['epoch']} batch {report['sequence']}")
    link = report["link"]
    state = "connected" if link["connected"] else f"not connected: {link['last_error'] or 'not yet'}"
    print(f"link to {link['address'] or 'no aggregator'}: {state}; clock by {link['clock_source']}\n")
    show([{"task": name, **task} for name, task in report["tasks"].items()], as_json=False, title="tasks")
    told = [{"gauge": name, "value": f"{value:,.10g}"} for name, value in sorted(report["gauges"].items()) if value]
    show(told, as_json=False, title="gauges that are not zero (--json has all)")
