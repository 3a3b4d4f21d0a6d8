"""Take an output over by hand for a time, or give it back; without an output, show who holds what.

    edge-agent hand valve 40 --for 30m --why "pump repair"
    edge-agent hand valve --release
    edge-agent hand

Interlocks still narrow it and the guard still has the last word. It ends by itself after the time, and when the
agent restarts; after a reload it goes on where its output is still there, and the log says where not. It is for who
may write in the agent's state directory: root does.
Exit code 0 when done, 1 when it was refused, 4 when no agent runs.
"""

import argparse
import getpass
import math
import os
import re
from pathlib import Path

from edge_agent.config import ConfigError, Gateway, load
from edge_agent.control.hand import TEXT_MAX
from edge_agent.local import door, status
from edge_agent.local.hands import SOCKET
from edge_agent.screen import fail, show
from edge_agent.verbs.run import CONFIG

STOPPED = 4
SECONDS = {"s": 1, "m": 60, "h": 3600}
NOTHING = "nobody holds an output by hand"


def duration(text: str) -> int:
    """Seconds of 90s, 30m or 1.5h."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smh])", text)
    if match is None or not (seconds := round(float(match[1]) * SECONDS[match[2]])):
        raise argparse.ArgumentTypeError(f"{text!r} is no duration: write 90s, 30m or 1.5h")
    return seconds


def number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"{text!r} is no number")
    return value


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("output", nargs="?", help="the output's name, as in the gateway's file")
    parser.add_argument("value", nargs="?", type=number, help="in the unit that `edge-agent status` shows")
    parser.add_argument("--for", dest="seconds", type=duration, metavar="TIME", help="90s, 30m or 1.5h; at most 24h")
    parser.add_argument("--why", default="", help="is shown wherever the output is shown")
    parser.add_argument("--release", action="store_true", help="give it back before the time is up")
    parser.add_argument("-c", "--config", type=Path, default=CONFIG, help=f"the gateway's file (default {CONFIG})")
    parser.add_argument("--json", action="store_true", help="JSON for programs")


def run(args: argparse.Namespace) -> int:
    try:
        config = load(args.config)
    except ConfigError as error:
        return fail(error)
    if args.output is None:
        return listing(config, as_json=args.json)
    if wrong := contradiction(args):
        return fail(wrong)
    if args.release:
        request: dict[str, object] = {"do": "release"}
        done: dict[str, object] = {"output": args.output, "released": True}
    else:
        request = {"do": "set", "value": args.value, "lasts_ms": 1000 * args.seconds, "why": args.why[:TEXT_MAX]}
        done = {"output": args.output, "value": args.value, "seconds": args.seconds, "who": who()}
    try:
        answer = door.ask(config.state_dir, SOCKET, {**request, "output": args.output, "who": who()})
    except PermissionError:
        return fail(f"{config.state_dir / SOCKET}: you may not ask this agent: sudo helps")
    except OSError as error:
        return fail(error)
    if answer is None:
        return stopped(config)
    if not answer["ok"]:
        return fail(answer["said"])
    show([done], as_json=args.json)
    return 0


def contradiction(args: argparse.Namespace) -> str:
    """What in the arguments does not go together, "" nothing."""
    if args.release:
        return "--release takes neither a value nor --for" if args.value is not None or args.seconds else ""
    if args.value is None:
        return f"say which value {args.output} is to have, or --release"
    return "" if args.seconds else "say for how long, as --for 30m: a hand ends by itself"


def listing(config: Gateway, *, as_json: bool) -> int:
    try:
        report = status.ask(config.state_dir) if config.state_dir.is_dir() else None
    except (OSError, ValueError) as error:  # its main loop hangs, or this user may not ask
        return fail(f"{config.state_dir / status.SOCKET}: {error or type(error).__name__}")
    if report is None:
        return stopped(config)
    control = report.get("control")
    held = control.get("hands", []) if isinstance(control, dict) else []
    if held or as_json:
        show(held, as_json=as_json, title="held by hand")
    else:
        print(NOTHING)
    return 0


def stopped(config: Gateway) -> int:
    fail(f"{config.id} is not running")
    return STOPPED


def who() -> str:
    """Who is at the keyboard, also behind sudo."""
    return os.environ.get("SUDO_USER") or getpass.getuser()
