#!/usr/bin/env bash
# Does every dependency of a gateway come as a wheel for 64-bit Arm? Resolves them all, downloads none for keeping.
set -euo pipefail
cd "$(dirname "$0")/.."
for python in 3.11 3.13; do  # Raspberry Pi OS bookworm and trixie
    .venv/bin/python -m pip install --disable-pip-version-check -q --dry-run --ignore-installed --no-deps \
        --target "$(mktemp -d)" --only-binary :all: --implementation cp --python-version "$python" \
        --platform manylinux2014_aarch64 --platform manylinux_2_17_aarch64 --platform manylinux_2_26_aarch64 \
        --platform manylinux_2_27_aarch64 --platform manylinux_2_28_aarch64 --platform manylinux_2_34_aarch64 \
        -r deploy/gateway.lock
    echo "arm64 wheels for Python $python: $(grep -c '^[a-z]' deploy/gateway.lock) of $(grep -c '^[a-z]' deploy/gateway.lock)"
done
