"""Run the gateway until SIGTERM or Ctrl-C. SIGHUP reads the configuration again; SIGKILL is safe at any time."""

import argparse
import asyncio
import logging
from pathlib import Path

from edge_agent.config import ConfigError, load
from edge_agent.journal import open_journal
from edge_agent.screen import fail

CONFIG = Path("/etc/citytwin/gateway.toml")


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("config", type=Path, nargs="?", default=CONFIG, help=f"the gateway's file (default {CONFIG})")
    parser.add_argument("--log-level", default="INFO", choices=("DEBUG", "INFO", "WARNING", "ERROR"))


def run(args: argparse.Namespace) -> int:
    try:
        config = load(args.config)
    except ConfigError as error:
        return fail(error)
    from edge_agent.agent import serve  # late: a faulty file is told at once

    open_journal(config.state_dir, args.log_level)
    try:
        asyncio.run(serve(config))
    except (OSError, ValueError) as error:
        logging.getLogger("edge_agent").error("cannot start: %s", error)
        return 1
    return 0
