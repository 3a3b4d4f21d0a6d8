#!/usr/bin/env bash
# Install the Debian packages that the tests use, where that is possible; else say what will not run.
set -uo pipefail
declare -A wanted=([mosquitto]=mosquitto [socat]=socat [gcc]=gcc [pkg-config]=pkg-config [chromium]=chromium)
missing=()
for program in "${!wanted[@]}"; do
    PATH="$PATH:/usr/sbin" command -v "$program" >/dev/null || missing+=("${wanted[$program]}")
done
[ -e /usr/include/modbus/modbus.h ] || missing+=(libmodbus-dev)
compgen -G '/usr/lib/*/faketime/libfaketime.so.1' >/dev/null || missing+=(libfaketime)
[ ${#missing[@]} = 0 ] && exit 0
as_root=$([ "$(id -u)" = 0 ] || echo "sudo -n")
if command -v apt-get >/dev/null && { [ -z "$as_root" ] || $as_root true 2>/dev/null; }; then
    echo "▸ system packages for the tests: ${missing[*]}"
    export DEBIAN_FRONTEND=noninteractive
    $as_root apt-get update -q >/dev/null &&
        $as_root apt-get install -y -q --no-install-recommends "${missing[@]}" >/dev/null && exit 0
fi
echo "▸ not installed: ${missing[*]} (the tests that need them are listed at the end)"
[ "${CI:-}" != true ]
