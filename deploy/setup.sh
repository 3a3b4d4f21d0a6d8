#!/usr/bin/env bash
# Make .venv from the lock file. Usage: deploy/setup.sh PYTHON LOCK
set -euo pipefail
python=$1 lock=$2
say() { printf '▸ %s\n' "$*"; }

"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    { echo "error: $python is older than 3.11; name a newer one: make PYTHON=python3.12 …" >&2; exit 1; }
if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    say "installing python3-venv (Debian keeps it apart)"
    as_root=$([ "$(id -u)" = 0 ] || echo "sudo -n")
    $as_root apt-get update -q && $as_root apt-get install -y -q python3-venv ||
        { echo "error: no venv module; run: sudo apt install python3-venv" >&2; exit 1; }
fi
say "1/3 virtual environment ($("$python" --version))"
[ -x .venv/bin/python ] || "$python" -m venv .venv
say "2/3 $(grep -c '^[a-z]' "$lock") locked packages"
bar=$([ -t 2 ] && echo on || echo off)
.venv/bin/python -m pip install --disable-pip-version-check -q --progress-bar "$bar" --require-hashes -r "$lock"
say "3/3 citytwin itself"
.venv/bin/python -m pip install --disable-pip-version-check -q --no-deps -e .
.venv/bin/python -m compileall -q edge_agent aggregator protos  # or each start compiles, and keeps the memory
