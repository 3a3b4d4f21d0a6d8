"""Look into what the gateway keeps, while it runs or not; nothing is changed.

    edge-agent buffer show                              how much, since when, what waits, what was dropped
    edge-agent buffer list                              the batches
    edge-agent buffer history 'meter/*' --days 2        readings of the last days
    edge-agent buffer export week.parquet --days 7      the same into a file: .csv, .jsonl or .parquet
    edge-agent buffer verify                            every batch and the file itself; exit code 1 with damage

Readings have: device, point, epoch, sequence, source_time, receive_time (UTC), value, quality, reason, text.
"""

import argparse
import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from edge_agent.buffer import BufferFault
from edge_agent.buffer.reader import Reader, Seen
from edge_agent.buffer.stored import key_of
from edge_agent.config import ConfigError, load
from edge_agent.screen import fail, progress, show
from edge_agent.verbs.buffer.formats import FORMATS, plain
from edge_agent.verbs.buffer.sheets import NAMES, Wanted, sheets
from edge_agent.verbs.run import CONFIG
from protos.batch import BatchError, Priority
from protos.clock import SystemClock

DAY_NS = 86_400 * 10**9
ROWS_SHOWN = 1000


def arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    for name, line in (
        ("show", "how much is kept, waits, was dropped"),
        ("list", "the batches, oldest first"),
        ("history", "readings of the last days"),
        ("export", "readings into a file"),
        ("verify", "check every batch and the file itself"),
    ):
        action = actions.add_parser(name, help=line, description=line)
        if name == "export":
            action.add_argument("file", type=Path, help=f"ends in {', '.join(FORMATS)}")
            action.add_argument("--force", action="store_true", help="replace a file that is there")
        if name in ("history", "export"):
            action.add_argument("points", nargs="*", metavar="DEVICE/POINT", help="names; * stands for anything")
            action.add_argument("--days", type=float, help="only the last so many days (default: all that is kept)")
        if name in ("list", "history"):
            action.add_argument("-n", "--rows", type=int, default=ROWS_SHOWN, help=f"at most (default {ROWS_SHOWN})")
        action.add_argument("-c", "--config", type=Path, default=CONFIG, help=f"the gateway's file (default {CONFIG})")
        if name != "export":
            action.add_argument("--json", action="store_true", help="JSON for programs")


def run(args: argparse.Namespace) -> int:
    actions = {"show": tell, "list": batches, "history": history, "export": export, "verify": verify}
    try:
        config = load(args.config)
        reader = Reader(config.state_dir, config.id)
        try:
            return actions[args.action](reader, args)
        finally:
            reader.close()
    except (ConfigError, BufferFault, OSError) as error:
        return fail(error)


def tell(reader: Reader, args: argparse.Namespace) -> int:
    account = reader.account
    rows = [{"gauge": name, "value": value} for name, value in account.gauges(()).items()]
    epoch, sequence = key_of(account.newest)
    rows += [{"gauge": "newest_epoch", "value": epoch}, {"gauge": "newest_sequence", "value": sequence}]
    if args.json:
        print(json.dumps({str(row["gauge"]): row["value"] for row in rows} | {"quarantine": reader.quarantined()}))
        return 0
    show(rows, as_json=False, title=str(reader.path))
    if aside := reader.quarantined():
        show(aside, as_json=False, title="quarantined")
    return 0


def batches(reader: Reader, args: argparse.Namespace) -> int:
    account = reader.account
    found: list[dict[str, object]] = []
    for row in islice(reader.rows(), max(1, args.rows)):
        epoch, sequence = key_of(row.number)
        state = "settled" if row.number in account.settled else "acked" if row.number in account.acked else "waiting"
        kind = Priority(row.priority).name if row.priority in Priority._value2member_map_ else str(row.priority)
        found.append(
            {"epoch": epoch, "sequence": sequence, "class": kind, "readings": row.readings, "bytes": row.size}
            | {"written": time_text(row.utc_ns), "state": state}
        )
    show(found, as_json=args.json, title="batches")
    return 0


def time_text(utc_ns: int) -> str:
    import numpy as np

    return f"{np.datetime64(utc_ns // 10**9, 's')}Z" if utc_ns else "unknown"


def wanted_by(args: argparse.Namespace) -> Wanted:
    since = 0 if args.days is None else SystemClock().wall_ns() - int(args.days * DAY_NS)
    return Wanted(tuple(args.points), since)


def near(reader: Reader, wanted: Wanted) -> Iterator[Seen]:
    """The batches that may hold wanted readings; those written before are passed over unread where they say when."""
    first = next((row.number for row in reader.rows() if not 0 < row.utc_ns < wanted.since_ns), None)
    if first is not None:
        yield from reader.batches(first)


def history(reader: Reader, args: argparse.Namespace) -> int:
    wanted = wanted_by(args)
    found: list[dict[str, object]] = []
    left, bad = max(1, args.rows), 0
    for seen in near(reader, wanted):
        if seen.stored is None:
            bad += 1
            continue
        for sheet in sheets(seen.stored, wanted):
            found += [dict(zip(NAMES, row, strict=True)) for row in islice(plain(sheet), left - len(found))]
        if len(found) >= left:
            break
    if not args.json:
        found = [
            {name: row[name] for name in ("receive_time", "device", "point", "value", "text", "quality", "reason")}
            for row in found
        ]
    show(found, as_json=args.json, title="readings" if len(found) < left else f"the first {left} readings; see --rows")
    return 1 if bad and fail(f"{bad} damaged batches left out; see `edge-agent buffer verify`") else 0


def export(reader: Reader, args: argparse.Namespace) -> int:
    if args.file.suffix not in FORMATS:
        return fail(f"{args.file}: no format ends in {args.file.suffix!r}; there are: {', '.join(FORMATS)}")
    if args.file.exists() and not args.force:
        return fail(f"{args.file}: is there already; --force replaces it")
    wanted, count, bad = wanted_by(args), 0, 0
    part = args.file.with_name(args.file.name + ".part")
    try:
        with FORMATS[args.file.suffix](part) as write:
            for seen in progress(near(reader, wanted), "exporting", reader.account.kept_batches):
                if seen.stored is None:
                    bad += 1
                    continue
                for sheet in sheets(seen.stored, wanted):
                    write(sheet)
                    count += len(sheet["value"])
        part.replace(args.file)
    finally:
        part.unlink(missing_ok=True)
    print(f"{args.file}: {count} readings")
    return fail(f"{bad} damaged batches left out; see `edge-agent buffer verify`") if bad else 0


def verify(reader: Reader, args: argparse.Namespace) -> int:
    wrong = [{"epoch": 0, "sequence": 0, "fault": text} for text in reader.whole()]
    count = 0
    for seen in progress(reader.batches(), "verifying", reader.account.kept_batches):
        count += 1
        fault = seen.wrong or unreadable(seen)
        if fault:
            epoch, sequence = key_of(seen.row.number)
            wrong.append({"epoch": epoch, "sequence": sequence, "fault": fault})
    if not reader.account.balanced():
        wrong.append({"epoch": 0, "sequence": 0, "fault": "received is not stored + dropped + quarantined"})
    if args.json:
        print(json.dumps({"batches": count, "faults": wrong}))
    elif wrong:
        show(wrong, as_json=False, title=f"{count} batches, {len(wrong)} faults")
    else:
        print(f"{count} batches, all whole")
    return 1 if wrong else 0


def unreadable(seen: Seen) -> str:
    """What decoding says; a checksum tells of changes, decoding of a writer's mistake."""
    try:
        if seen.stored is not None:
            for _ in sheets(seen.stored, Wanted()):
                continue
    except BatchError as error:
        return str(error)
    return ""
