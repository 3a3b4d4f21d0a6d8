"""Run the gateway until SIGTERM or Ctrl-C. SIGHUP reads the configuration again; SIGKILL is safe at any time."""

import argparse
import asyncio
import logging
from pathlib import Path

from edge_agent.config import ConfigError, load
from edge_agent.journal import open_journal
from edge_agent.rollout.faults import RolloutFault
from edge_agent.screen import fail
from protos.clock import FastClock, SystemClock

CONFIG = Path("/etc/citytwin/gateway.toml")
SPEED_MAX = 1000.0  # beyond it a device's second is shorter than the loop that serves it


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("config", type=Path, nargs="?", default=CONFIG, help=f"the gateway's file (default {CONFIG})")
    parser.add_argument(
        "--speed", type=float, default=1.0, metavar="N", help="let time run N times as fast, to play with simulators"
    )
    parser.add_argument("--log-level", default="INFO", choices=("DEBUG", "INFO", "WARNING", "ERROR"))


def run(args: argparse.Namespace) -> int:
    try:
        config = load(args.config)
    except ConfigError as error:
        return fail(error)
    if not 0 < args.speed <= SPEED_MAX:
        return fail(f"--speed {args.speed:g}: must be above 0 and at most {SPEED_MAX:g}")
    from edge_agent.agent import serve  # late: a faulty file is told at once

    open_journal(config.state_dir, args.log_level)
    try:
        asyncio.run(serve(config, FastClock(args.speed) if args.speed != 1 else SystemClock()))
    except (ConfigError, RolloutFault, OSError, ValueError) as error:
        logging.getLogger("edge_agent").error("cannot start: %s", error)
        return 1
    return 0
