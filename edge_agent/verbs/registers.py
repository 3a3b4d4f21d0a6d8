"""The registers in which this gateway shows estimates and decisions to the controllers beside it.

    edge-agent registers gateway.toml             a table in Markdown, for the cabinet's documents
    edge-agent registers gateway.toml --csv       for the import of a controller's engineering tool

The map is made of the file and of the bundles that it names; outputs and twins that are appended to the file move
nothing. `[local.modbus] listen` switches the server on.
"""

import argparse
import csv
import sys
from pathlib import Path

from edge_agent import plant
from edge_agent.config import ConfigError, Gateway, load
from edge_agent.local.registers import Registers, Row, markdown
from edge_agent.rollout.bundles import read_bundle, read_trust
from edge_agent.rollout.faults import RolloutFault
from edge_agent.screen import fail, show
from edge_agent.verbs.run import CONFIG
from protos.bundle import Bundle, BundleError


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("config", type=Path, nargs="?", default=CONFIG, help=f"the gateway's file (default {CONFIG})")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--csv", action="store_true", help="comma-separated, with a head line")
    form.add_argument("--json", action="store_true", help="one JSON array")


def run(args: argparse.Namespace) -> int:
    try:
        config = load(args.config)
        registers = Registers(plant.roster(config, bundles_of(config)))
    except (ConfigError, BundleError, RolloutFault) as error:
        return fail(error)
    if registers.left_out:
        fail(f"the map has no room for {', '.join(registers.left_out)}: the other ways show them")
    if args.json:
        show([row._asdict() for row in registers.rows], as_json=True)
    elif args.csv:
        table = csv.writer(sys.stdout, lineterminator="\n")
        table.writerow(Row._fields)
        table.writerows(registers.rows)
    else:
        print(markdown(registers, config.name), end="")
    return 0


def bundles_of(config: Gateway) -> dict[str, Bundle]:
    """The bundle that each twin's file names. Raises BundleError, RolloutFault."""
    trusted = read_trust(config.cell.trust)
    return {spec.name: Bundle.open(read_bundle(spec.bundle), trusted) for spec in config.cell.twins}
