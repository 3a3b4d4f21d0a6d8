"""Models: which there are, and how they reach the gateways.

    aggregator models train tank.toml --from 30d          history → validated, signed bundle and report
    aggregator models list
    aggregator models show tank                           what it learned from, how far it goes astray, the gate
    aggregator models rollout tank-2.ctb --twin tank      begin: shadow, 5 %, 25 %, all, each watched
    aggregator models rollouts [r-1f3a]                   how far, and what each gateway made of it
    aggregator models approve r-1f3a                      the wave that waits for somebody
    aggregator models pause r-1f3a --why TEXT             nothing new is begun; what is wrong still goes back
    aggregator models resume r-1f3a
    aggregator models abort r-1f3a --why TEXT             back everywhere
    aggregator models rollback tank --why TEXT            the newest one of this twin, done or not, back everywhere

A rollout that is no good takes itself back: see `aggregator models rollouts`, and `[rollout]` in the configuration.
"""

import argparse
from importlib import import_module

GROUPS = (
    "aggregator.verbs.models_learned",
    "aggregator.verbs.models_rollout",
)  # each adds its acts: `add(acts)`


def arguments(parser: argparse.ArgumentParser) -> None:
    acts = parser.add_subparsers(dest="act", required=True, metavar="ACT")
    for group in GROUPS:
        import_module(group).add(acts)


def run(args: argparse.Namespace) -> int:
    return int(args.do(args))
