"""The `edge-agent` command: a table of verbs, each resolved on use so that a verb loads only what it needs."""

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module

VERBS: dict[str, str] = {  # verb → one line of help; its module is edge_agent/verbs/<verb>.py
    "run": "run the gateway",
    "enrol": "give it its identity, with a token from the aggregator",
    "status": "how the running gateway is",
    "models": "the models that its twins run: list, check, install, rollback",
    "buffer": "look into what it keeps: show, list, history, export, verify",
    "hand": "take an output over by hand for a time, or give it back",
    "registers": "the map of registers for the controllers beside it",
    "logs": "the newest lines of its log",
    "check": "check a gateway's file and say every fault at once",
    "devices": "the kinds of devices that are known",
    "scan": "find Modbus units on a line and suggest their profiles",
    "read": "read every point of a Modbus device once, by a profile",
    "simulate": "play devices of any profile on real Modbus or MQTT",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb; its module gives `arguments(parser)` and `run(args) -> exit code`."""
    words = list(sys.argv[1:] if argv is None else argv)
    parser = argparse.ArgumentParser("edge-agent", description=import_module("edge_agent").__doc__)
    parser.add_argument("--version", action="version", version="citytwin 0.1.0")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    chosen = next((word for word in words if not word.startswith("-")), "")
    for verb, line in VERBS.items():
        sub = verbs.add_parser(verb, help=line)
        if verb == chosen:
            module = import_module(f"edge_agent.verbs.{verb.replace('-', '_')}")
            sub.description = module.__doc__
            sub.formatter_class = argparse.RawDescriptionHelpFormatter
            module.arguments(sub)
            sub.set_defaults(run=module.run)
    args = parser.parse_args(words)
    try:
        return int(args.run(args))
    except KeyboardInterrupt:
        return 130
    except PermissionError as error:
        from edge_agent.screen import fail  # what draws is loaded when something is drawn

        return fail(error)
    except BrokenPipeError:  # `| head` closed the pipe
        sys.stderr.close()
        return 0


if __name__ == "__main__":
    sys.exit(main())
