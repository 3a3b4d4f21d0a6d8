"""Run the figures named in ONLY (all when empty) at SCALE (`full` or `ci`); exit 1 when one misses its goal.

`--list` names them all.
"""

import json
import os
import sys
import time
from dataclasses import asdict, replace
from importlib import import_module

from tests.bench import FIGURES


def main() -> int:
    if "--list" in sys.argv:
        print("\n".join(f"{name:16} {line}" for name, line in FIGURES.items()))
        return 0
    scale = os.environ.get("SCALE", "full")
    names = os.environ.get("ONLY", "").replace(",", " ").split() or list(FIGURES)
    if unknown := [name for name in names if name not in FIGURES]:
        print(f"ONLY: no figure {', '.join(unknown)}; there are: {', '.join(FIGURES)}", file=sys.stderr)
        return 2
    missed = 0
    for name in names:
        print(f"… {name}: {FIGURES[name]}", file=sys.stderr, flush=True)
        begun = time.monotonic()
        for figure in import_module(f"tests.bench.{name.replace('-', '_')}").run(scale):
            line = asdict(replace(figure, seconds=round(time.monotonic() - begun, 2)))
            print(json.dumps(line), flush=True)
            missed += not figure.ok
    return min(1, missed)


if __name__ == "__main__":
    sys.exit(main())
