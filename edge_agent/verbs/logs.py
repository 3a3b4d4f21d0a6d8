"""Show the newest lines of the agent's own log (bounded: 2 MB are kept)."""

import argparse
from pathlib import Path

from edge_agent.config import ConfigError, load
from edge_agent.journal import tail
from edge_agent.screen import fail
from edge_agent.verbs.run import CONFIG


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("config", type=Path, nargs="?", default=CONFIG, help="the gateway's file")
    parser.add_argument("-n", "--lines", type=int, default=50, help="how many (default 50)")


def run(args: argparse.Namespace) -> int:
    try:
        config = load(args.config)
    except ConfigError as error:
        return fail(error)
    for line in tail(config.state_dir, max(1, args.lines)):
        print(line)
    return 0
