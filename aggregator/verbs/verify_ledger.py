"""Check the ledger from the data up, or a receipt by itself: nothing is believed that can be computed.

    aggregator verify-ledger                                     entries, tiles, signatures, quorum, audit, log
    aggregator verify-ledger --held held.note                    … and that nothing was cut off since that checkpoint
    aggregator verify-ledger --receipt r.tlog-proof --policy p   anywhere, without the aggregator

Exit code 0: all good; 1: something was changed, or is not proven; 2: it could not be looked at.
"""

import argparse
from pathlib import Path

from aggregator import config
from aggregator.ledger import verification
from aggregator.ledger.book import FILE, KEY, policy_of, read_policy
from aggregator.ledger.receipt import Receipt, ReceiptError
from aggregator.screen import counter, fail, show
from aggregator.stores import StoreError
from protos.note import Note, NoteError

UNSEEN = 2  # exit code: it could not be looked at


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--receipt", type=Path, metavar="FILE", help="check this one alone; needs --policy")
    parser.add_argument("--policy", type=Path, metavar="FILE", help="whom to believe; else the configured policy")
    parser.add_argument(
        "--held", type=Path, action="append", default=[], metavar="FILE", help="a checkpoint that somebody else holds"
    )
    parser.add_argument("--json", action="store_true", help="as JSON")
    config.argument(parser)


def run(args: argparse.Namespace) -> int:
    try:
        return one_receipt(args) if args.receipt else whole(args)
    except ReceiptError as error:
        return fail(f"{args.receipt}: {error}")
    except (config.ConfigError, StoreError, NoteError, OSError) as error:
        fail(error)
        return UNSEEN


def one_receipt(args: argparse.Namespace) -> int:
    policy = read_policy(args.policy)
    if policy is None:
        raise StoreError("--receipt needs --policy: `aggregator ledger policy` writes one, keep it elsewhere")
    receipt = Receipt.of(args.receipt.read_bytes())
    cosigned = receipt.check(policy)
    if args.json:
        show([{"index": receipt.index, "entry": receipt.entry.decode(), "cosigned": cosigned}], as_json=True)
    else:
        print(receipt.entry.decode())
        print(f"entry {receipt.index} is in the ledger; cosigned by {', '.join(sorted(cosigned)) or 'nobody'}")
    return 0


def whole(args: argparse.Namespace) -> int:
    settings = config.load(args.config)
    if not (settings.ledger / FILE).exists() or not (settings.ledger / KEY).exists():
        raise StoreError(f"{settings.ledger}: no ledger; the server makes it when it runs")
    wanted = args.policy or (Path(settings.record.policy) if settings.record.policy else None)
    policy = policy_of(settings.ledger, wanted)
    held = [Note.of(one.read_bytes()) for one in args.held]
    files = verification.Files(settings.ledger, settings.catalogue, settings.log)
    looked = 0
    with counter("verifying", "entries") as told:

        def count(more: int) -> None:
            nonlocal looked
            looked += more
            told(more)

        damage = list(verification.verify(files, policy, held, count))
    rows = [{"file": one.file, "place": one.place, "fault": one.fault} for one in damage]
    if args.json or rows:
        show(rows, as_json=args.json, title="ledger")
    else:
        print(f"all good: {looked} entries in {settings.ledger}")
    return 1 if damage else 0
