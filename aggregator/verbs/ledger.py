"""The record that nobody can rewrite: what it says, its proofs, and who vouches for it.

aggregator ledger show --kind order                   entries, the newest last
aggregator ledger receipt 4711 > r.tlog-proof         a proof that needs nobody, for `verify-ledger --receipt`
aggregator ledger checkpoint                          the newest that a quorum cosigned, as C2SP signed note
aggregator ledger witnesses                           who cosigned how much, and what speaks against us
aggregator ledger policy > witnesses.policy           whom to believe; add outside witnesses, name it in [ledger]
aggregator ledger ask example.com/w1 | curl --data-binary @- https://example.com/w1/add-checkpoint > answer
aggregator ledger cosign example.com/w1 < answer      take an outside witness's cosignature (C2SP tlog-witness)
aggregator ledger prune --before 100000               entries below may go, their hashes stay
"""

import argparse
import base64
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from aggregator import config
from aggregator.ledger.book import FILE, policy_of, published, receipt
from aggregator.ledger.policy import Policy
from aggregator.screen import fail, show
from aggregator.stores import StoreError
from aggregator.stores.catalogue import Catalogue
from aggregator.stores.ledger import LedgerStore, Signed
from aggregator.verbs.enrol_token import actor
from protos import tlog, tls
from protos.note import Note, NoteError, Verifier, signature_of

ACTS = {
    "show": "entries",
    "receipt": "the proof of one entry, as C2SP tlog-proof",
    "checkpoint": "the newest that a quorum cosigned",
    "witnesses": "who cosigned, and what speaks against us",
    "policy": "whom to believe, as C2SP tlog-policy",
    "ask": "what an outside witness is asked (C2SP tlog-witness add-checkpoint)",
    "cosign": "take its answer from standard input",
    "prune": "let old entries go",
}


def arguments(parser: argparse.ArgumentParser) -> None:
    acts = parser.add_subparsers(dest="act", required=True, metavar=" | ".join(ACTS))
    made = {name: acts.add_parser(name, help=told) for name, told in ACTS.items()}
    made["show"].add_argument("--kind", default="", help="order, decision, approval, access, batch, …")
    made["show"].add_argument("--subject", default="", help="whom or what it is about")
    made["show"].add_argument("--after", type=int, metavar="N", help="entries behind this one; else the newest")
    made["show"].add_argument("--limit", type=int, default=50, help="at most so many (%(default)s)")
    made["receipt"].add_argument("index", type=int)
    made["prune"].add_argument("--before", type=int, required=True, metavar="N", help="the new minimum index")
    for name in ("ask", "cosign"):
        made[name].add_argument("witness", help="its name in the policy")
    for one in made.values():
        one.add_argument("--json", action="store_true", help="as JSON, where it is a table")
        config.argument(one)


def run(args: argparse.Namespace) -> int:
    try:
        settings = config.load(args.config)
        policy = policy_of(settings.ledger, Path(settings.record.policy) if settings.record.policy else None)
        with opened(settings, write=args.act in ("cosign", "prune")) as store:
            return {
                "show": shown,
                "receipt": given,
                "checkpoint": newest,
                "witnesses": witnesses,
                "policy": believed,
                "ask": asked,
                "cosign": cosigned,
                "prune": pruned,
            }[args.act](args, settings, store, policy)
    except (config.ConfigError, StoreError, NoteError, tlog.ProofError, OSError) as error:
        return fail(error)


@contextmanager
def opened(settings: config.Config, *, write: bool) -> Iterator[LedgerStore]:
    if not (settings.ledger / FILE).exists():
        raise StoreError(f"{settings.ledger}: no ledger; the server makes it when it runs")
    with closing(LedgerStore(settings.ledger / FILE, read_only=not write)) as store:
        yield store


def shown(args: argparse.Namespace, settings: config.Config, store: LedgerStore, policy: Policy) -> int:
    limit = max(1, args.limit)
    if args.after is None:
        found = store.newest(limit, args.kind, args.subject)
    else:
        found = store.find(args.after, limit, args.kind, args.subject)
    rows = [{"entry": one.number, "kind": one.kind, "content": one.content.decode()} for one in found]
    show(rows, as_json=args.json, title="ledger")
    return 0


def given(args: argparse.Namespace, settings: config.Config, store: LedgerStore, policy: Policy) -> int:
    print(receipt(store, published(store, policy), args.index).text, end="")
    return 0


def newest(args: argparse.Namespace, settings: config.Config, store: LedgerStore, policy: Policy) -> int:
    print(best(store, policy).note.decode(), end="")
    return 0


def best(store: LedgerStore, policy: Policy) -> Signed:
    found = published(store, policy)
    if found is None:
        raise StoreError("no checkpoint yet; the server signs one a second after its start")
    return found


def witnesses(args: argparse.Namespace, settings: config.Config, store: LedgerStore, policy: Policy) -> int:
    known = {one.name: one for one in store.witnesses()}
    rows: list[dict[str, object]] = [
        {
            "witness": name,
            "in the policy": name in policy.witnesses,
            "entries": known[name].size if name in known else 0,
            "cosigned": f"{tls.utc(known[name].at_ns):%Y-%m-%d %H:%M:%S}" if name in known else "never",
            "against us": "; ".join(one.why for one in store.evidence() if one.who == name),
        }
        for name in sorted({*known, *policy.witnesses, *(one.who for one in store.evidence())})
    ]
    show(rows, as_json=args.json, title=f"witnesses; quorum {policy.quorum}")
    return 1 if store.evidence() else 0


def believed(args: argparse.Namespace, settings: config.Config, store: LedgerStore, policy: Policy) -> int:
    print(policy.text, end="")
    return 0


def asked(args: argparse.Namespace, settings: config.Config, store: LedgerStore, policy: Policy) -> int:
    """The body of add-checkpoint: old size, proof, an empty line, the checkpoint."""
    known(policy, args.witness)
    before = next((one.size for one in store.witnesses() if one.name == args.witness), 0)
    signed = store.checkpoints(1)[0] if store.checkpoints(1) else best(store, policy)
    proof = tlog.consistency(before, signed.size, tlog.node_in(store.tile))
    lines = [f"old {before}", *(base64.b64encode(one).decode() for one in proof), "", ""]
    print("\n".join(lines) + (signed.text + "\n" + signed.lines[0]), end="")
    return 0


def cosigned(args: argparse.Namespace, settings: config.Config, store: LedgerStore, policy: Policy) -> int:
    verifier = known(policy, args.witness)
    lines = [signature_of(one) for one in sys.stdin.read().splitlines() if one]
    own = [one for one in lines if (one.name, one.key_id) == (verifier.name, verifier.key_id)]
    for signed in store.checkpoints():
        for one in own:
            try:
                verifier.check(signed.text, one.content)
            except NoteError:
                continue
            store.put_cosignatures(signed.size, [(args.witness, verifier.vkey, one.line)], time.time_ns())
            print(f"{args.witness} cosigned {signed.size} entries")
            return 0
    raise StoreError(f"no good cosignature of {args.witness} for any of our checkpoints on standard input")


def known(policy: Policy, name: str) -> Verifier:
    if name not in policy.witnesses:
        raise StoreError(f"{name}: no witness of the policy; there are: {', '.join(policy.witnesses) or 'none'}")
    return policy.witnesses[name]


def pruned(args: argparse.Namespace, settings: config.Config, store: LedgerStore, policy: Policy) -> int:
    """Only below what a quorum has seen, and audited before it is done."""
    signed = best(store, policy)
    marks = store.marks()
    if not marks.minimum <= args.before <= signed.size or not policy.met(Note.of(signed.note)):
        raise StoreError(f"--before: from {marks.minimum} to {signed.size}, the newest that a quorum cosigned")
    with closing(Catalogue(settings.catalogue)) as catalogue:
        catalogue.note(time.time_ns(), actor(), "ledger prune", "", f"minimum index {args.before}")
    print(f"{store.prune(args.before)} entries are gone; their hashes stay")
    return 0
