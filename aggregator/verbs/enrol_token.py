"""Print a one-time token for a gateway: one line, to be given to `edge-agent enrol` on the device.

    aggregator enrol-token gw-north              valid once, for a day, for this gateway only

Only its digest is kept; a new token for the same gateway cancels an unused older one.
"""

import argparse
import getpass
import json
import time

from aggregator import config
from aggregator.screen import fail
from aggregator.security import authority, registrar
from aggregator.stores import StoreError
from aggregator.stores.catalogue import Catalogue
from protos import tls


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("gateway", help="its id: a-z 0-9 . _ -, at most 63")
    parser.add_argument("--hours", type=float, default=registrar.TOKEN_HOURS, help="how long it is valid (%(default)g)")
    parser.add_argument("--address", default="", metavar="HOST:PORT", help="where the gateway reaches the aggregator")
    parser.add_argument("--json", action="store_true", help="as JSON")
    config.argument(parser)


def run(args: argparse.Namespace) -> int:
    try:
        settings = config.load(args.config)
        root = tls.load_chain(authority.read(settings.ca / "root.pem"))[0]
        address = args.address or enrolment_address(settings)
        if config.everywhere(address):
            raise config.ConfigError(f"--address {address}: no gateway can dial that; name a host")
        if not settings.catalogue.exists():
            raise StoreError(f"{settings.state_dir}: no aggregator lives here; run `aggregator init`")
        catalogue = Catalogue(settings.catalogue)
        secret = registrar.new_token(catalogue, args.gateway, args.hours, time.time_ns(), actor())
        catalogue.close()
    except (config.ConfigError, tls.TlsError, StoreError) as error:
        return fail(error)
    token = tls.Token(address, args.gateway, secret, tls.fingerprint(root)).encode()
    print(json.dumps({"gateway": args.gateway, "token": token, "hours": args.hours}) if args.json else token)
    return 0


def enrolment_address(settings: config.Config) -> str:
    """The configured one; else where the running server listens, which matters with port 0."""
    if settings.enrolment_address:
        return settings.enrolment_address
    if settings.endpoints.exists():
        return str(json.loads(settings.endpoints.read_text())["enrolment"])
    return settings.enrolment_listen


def actor() -> str:
    """Who sits at this terminal, for the audit."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # no such user in a container
        return "operator"
