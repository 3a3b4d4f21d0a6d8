"""Somebody at the desk of the demo city: reads what is proposed, takes a while to think, and approves it.

    python deploy/demo/desk.py CONFIG [--think 15]

Every decision needs a person here, because no domain is automatic by policy and the twin is too young to be trusted.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

AGGREGATOR = Path(sys.executable).parent / "aggregator"
LOOK_S = 2.0
LOOKS_MAX = 100_000  # two days


def verb(*words: object) -> str:
    done = subprocess.run([str(AGGREGATOR), *map(str, words)], capture_output=True, text=True, check=False)
    if done.returncode:
        print(done.stderr.strip(), flush=True)
    return done.stdout


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=Path)
    parser.add_argument("--think", type=float, default=15.0, help="seconds before an approval (%(default)s)")
    args = parser.parse_args()
    seen: dict[str, float] = {}
    for _ in range(LOOKS_MAX):
        for one in json.loads(verb("decisions", "--json", "-c", args.config) or "[]"):
            if one["state"] != "proposed":
                continue
            since = seen.setdefault(one["id"], time.monotonic())
            if time.monotonic() - since >= args.think:
                print(f"approving {one['id']}", flush=True)
                verb("decisions", "approve", one["id"], "--as", "operator of the demo", "-c", args.config)
        time.sleep(LOOK_S)
    return 0


if __name__ == "__main__":
    sys.exit(main())
