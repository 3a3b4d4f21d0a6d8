"""How the gateway is: last committed (epoch, sequence), tasks and their progress, counters.

Every reading ends in exactly one of stored, dropped (with a reason) or quarantined. Exit code: 0 healthy, 3 running
but some task makes no progress, 4 not running.
"""

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edge_agent.config import ConfigError, load
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
        stopped = {"gateway": config.id, "running": False, "healthy": False}
        print(json.dumps(stopped) if args.json else f"{config.id} is not running (state in {config.state_dir})")
        return STOPPED
    if args.json:
        print(json.dumps(report))
    else:
        tell(report)
    return HEALTHY if report["healthy"] else LATE


def tell(report: Mapping[str, Any]) -> None:
    how = "healthy" if report["healthy"] else f"NOT well: no progress in {', '.join(report['late'])}"
    print(f"{report['gateway']} is running and {how}; last commit epoch {report['epoch']} batch {report['sequence']}\n")
    show([{"task": name, **task} for name, task in report["tasks"].items()], as_json=False, title="tasks")
    show(
        [{"gauge": k, "value": f"{v:,.10g}"} for k, v in sorted(report["gauges"].items())],
        as_json=False,
        title="gauges",
    )
