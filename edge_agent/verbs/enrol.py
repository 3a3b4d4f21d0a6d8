"""Give this gateway its identity: a key made here, a certificate from the aggregator for a one-time token.

The operator makes the token at the aggregator (`aggregator enrol-token GATEWAY`) and carries the line here. Safest is
standard input, which no process list shows:  edge-agent enrol --token - < token
Run it as the user of the agent. A running agent takes the new identity at its next connection.
"""

import argparse
import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from edge_agent.config import ConfigError, Gateway, load
from edge_agent.screen import fail, show
from edge_agent.verbs.run import CONFIG

if TYPE_CHECKING:
    from edge_agent.sync.identity import Facts, Identity
    from edge_agent.sync.trusted import TrustedTime

LINE_MAX = 4096  # a token is one line of some 300 characters


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("config", type=Path, nargs="?", default=CONFIG, help=f"the gateway's file (default {CONFIG})")
    given = parser.add_mutually_exclusive_group(required=True)
    given.add_argument("--token", metavar="LINE", help="the token, or - to read it from standard input")
    given.add_argument("--token-file", type=Path, metavar="FILE", help="a file that holds the token")
    parser.add_argument("--again", action="store_true", help="replace the identity that this gateway has")
    parser.add_argument("--json", action="store_true", help="the result as JSON")


def run(args: argparse.Namespace) -> int:
    try:
        config = load(args.config)
        line = token_of(args)
    except (ConfigError, OSError) as error:
        return fail(error)
    from edge_agent.sync.faults import SyncError  # late: gRPC takes a moment to load
    from edge_agent.sync.identity import Identity
    from edge_agent.sync.trusted import TrustedTime
    from protos.clock import SystemClock

    identity = Identity(config.state_dir / "identity")
    if identity.exists and not args.again:
        return fail(f"{identity.gateway_pem}: this gateway has an identity: add --again to replace it by a new one")
    try:
        facts = asyncio.run(enrol(config, identity, TrustedTime(config.state_dir / "time.json", SystemClock()), line))
    except (SyncError, OSError) as error:
        return fail(error)
    result = {
        "gateway": facts.gateway,
        "enrolled": True,
        "sync_address": config.aggregator.address or facts.sync_address,
        "days": round((facts.not_after_ns - facts.not_before_ns) / 86_400e9, 1),
        "identity": str(identity.gateway_pem),
    }
    show([result], as_json=args.json, title="enrolled; the agent connects by itself")
    return 0


def token_of(args: argparse.Namespace) -> str:
    if args.token_file is not None:
        with args.token_file.open() as file:
            return str(file.read(LINE_MAX)).strip()
    return sys.stdin.read(LINE_MAX).strip() if args.token == "-" else str(args.token)  # noqa: S105


async def enrol(config: Gateway, identity: "Identity", time: "TrustedTime", line: str) -> "Facts":
    from edge_agent.sync.enrolment import Registry
    from protos.clock import SystemClock

    config.state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    registry = Registry(identity, time, SystemClock(), config.aggregator.name, config.aggregator.enrol_address)
    return await registry.enrol(line, config.id, lambda text: print(f"… {text}", file=sys.stderr, flush=True))
