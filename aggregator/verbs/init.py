"""Make an aggregator: its own authority, catalogue and configuration file, in a directory of its own.

    aggregator init /var/lib/citytwin-aggregator --listen 0.0.0.0 --name twin.example.org   for gateways elsewhere
    aggregator init /var/lib/citytwin-aggregator                                            for this machine alone
    aggregator init /var/lib/citytwin-aggregator --root-offline /media/stick

    aggregator init /var/lib/citytwin-aggregator --renew-intermediate /media/stick/root.key    every two years

The root's key signs nothing but the intermediate. Keep it away from this machine: with --root-offline it is written
there from the start; else move root.key away by hand. Nothing that exists is overwritten.
"""

import argparse
import time
from pathlib import Path

from aggregator import config
from aggregator.screen import fail
from aggregator.security import authority
from aggregator.stores import StoreError
from aggregator.stores.catalogue import Catalogue
from protos import tls


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("directory", type=Path, help="the state directory; also gets aggregator.toml")
    parser.add_argument("--root-offline", type=Path, metavar="DIR", help="write the root's private key there")
    parser.add_argument(
        "--renew-intermediate", type=Path, metavar="KEY", help="a new intermediate for an existing one; then restart it"
    )
    parser.add_argument("--listen", default="127.0.0.1", metavar="HOST", help="listen on this address (%(default)s)")
    parser.add_argument(
        "--name",
        action="append",
        default=[],
        help="DNS name or IP address in the server's certificate; repeatable; gateways are told to dial the first",
    )


def run(args: argparse.Namespace) -> int:
    directory: Path = args.directory.resolve()
    if args.renew_intermediate:
        return renew(directory, args.renew_intermediate)
    file = directory / "aggregator.toml"
    catalogue_path = directory / "catalogue.sqlite"
    for path in (file, catalogue_path):
        if path.exists():
            return fail(f"{path}: is there already and is never overwritten; use another directory")
    if args.listen in config.EVERYWHERE and not args.name:
        return fail(f"--listen {args.listen}: gateways cannot dial that; say what they dial: --name twin.example.org")
    now_ns = time.time_ns()
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        own = authority.create(directory / "ca", tls.utc(now_ns), args.root_offline and args.root_offline.resolve())
        catalogue = Catalogue(catalogue_path)
        catalogue.note(now_ns, "operator", "init", "", f"root {tls.fingerprint(own.root)}")
        catalogue.close()
        authority.write(file, config.template(directory, args.listen, args.name).encode())
    except (tls.TlsError, StoreError, OSError) as error:
        return fail(error)
    key = (args.root_offline or directory / "ca") / "root.key"
    print(f"made       {directory}")
    print(f"root       sha256 {tls.fingerprint(own.root)}")
    print(f"root key   {key}" + ("" if args.root_offline else "  ← move it off this machine; it is not needed to run"))
    print("next       " + f"aggregator serve {file}")
    print("           " + f"aggregator enrol-token GATEWAY -c {file}")
    return 0


def renew(directory: Path, root_key: Path) -> int:
    """Certificates of the old intermediate stay good until they expire."""
    now_ns = time.time_ns()
    try:
        own = authority.renew_intermediate(directory / "ca", root_key, tls.utc(now_ns))
        catalogue = Catalogue(directory / "catalogue.sqlite")
        catalogue.note(now_ns, "operator", "renew intermediate", f"{own.intermediate.serial_number:x}")
        catalogue.close()
    except (tls.TlsError, StoreError, OSError) as error:
        return fail(error)
    print(f"intermediate good until {own.intermediate.not_valid_after_utc:%Y-%m-%d}; restart the aggregator now")
    return 0
