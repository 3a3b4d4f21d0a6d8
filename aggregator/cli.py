"""The `aggregator` command: a table of verbs, each resolved on use so that a verb loads only what it needs."""

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module

VERBS: dict[str, str] = {  # verb → one line of help; its module is aggregator/verbs/<verb with _>.py
    "init": "make an aggregator: authority, catalogue, configuration",
    "serve": "run it",
    "enrol-token": "print a one-time token for a gateway",
    "watch": "the city live: gateways, rates, backlog, freshest values",
    "gateways": "the fleet: list, show, approve, revoke",
    "order": "set an output of a gateway, for a time",
    "orders": "what became of orders",
    "all-stop": "revoke every order at once",
    "whatif": "scenarios: what becomes of the city if, side by side",
    "risk": "what may go wrong, the worst first, and what lowers it",
    "decisions": "plans that become orders: propose, approve, reject, take back",
    "models": "models of the gateways' twins: roll out, watch, take back",
    "city": "the twin: city file, state at any time, forecasts, calibration",
    "alarms": "what is wrong: list, acknowledge, shelve",
    "users": "who may see the page: invite, list, change, remove",
    "tokens": "what programs bring: make, list, revoke",
    "points": "every point with its newest sample",
    "query": "readings of points: range, reduced to pixels, as of a time",
    "export": "write readings to Parquet, CSV or JSON lines",
    "ledger": "the record that nobody can rewrite: entries, receipts, witnesses",
    "verify-ledger": "check the ledger from the data up, or a receipt by itself",
    "verify-store": "check every byte of log and history",
    "backup": "a consistent copy of the stores, while they are in use",
    "restore": "bring a backup back",
    "replay": "make history again from the log",
    "ngsi-ld": "the NGSI-LD API alone, on this machine, for trials and conformance suites",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb; its module gives `arguments(parser)` and `run(args) -> exit code`."""
    words = list(sys.argv[1:] if argv is None else argv)
    parser = argparse.ArgumentParser("aggregator", description=import_module("aggregator").__doc__)
    parser.add_argument("--version", action="version", version="citytwin 0.1.0")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    chosen = next((word for word in words if not word.startswith("-")), "")
    for verb, line in VERBS.items():
        sub = verbs.add_parser(verb, help=line)
        if verb == chosen:
            module = import_module(f"aggregator.verbs.{verb.replace('-', '_')}")
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
        from aggregator.screen import fail  # what draws is loaded when something is drawn

        return fail(error)
    except BrokenPipeError:  # `| head` closed the pipe
        sys.stderr.close()
        return 0


if __name__ == "__main__":
    sys.exit(main())
