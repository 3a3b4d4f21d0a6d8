#!/usr/bin/env bash
# Install a gateway on Raspberry Pi OS or Debian (64-bit) as a systemd service; run again to upgrade.
#
#   sudo deploy/install-gateway.sh [--config gateway.toml] [--token TOKEN]
#
# --config   the gateway's file; without it an example is put into /etc/citytwin to be edited
# --token    enrol at once with the line that `aggregator enrol-token GATEWAY` printed
set -euo pipefail
cd "$(dirname "$0")/.."
config='' token=''
while [ $# -gt 0 ]; do
    case $1 in
        --config) config=${2:?--config needs a file}; shift 2 ;;
        --token) token=${2:?--token needs a token}; shift 2 ;;
        -h | --help) sed -n '2,8s/^# \{0,1\}//p' "$0"; exit 0 ;;
        *) echo "error: unknown option $1; see --help" >&2; exit 2 ;;
    esac
done
step() { printf '▸ %s\n' "$*"; }
[ "$(id -u)" = 0 ] || { echo "error: run it as root: sudo $0" >&2; exit 1; }
case $(uname -m) in aarch64 | x86_64) ;; *) echo "error: $(uname -m) is not supported; a 64-bit system is needed" >&2; exit 1 ;; esac

step "1/5 Python"
if ! python3 -c 'import ensurepip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    apt-get update -q >/dev/null && apt-get install -y -q python3 python3-venv >/dev/null
fi
python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    { echo "error: $(python3 --version) is too old; Debian 12 or newer brings 3.11" >&2; exit 1; }

step "2/5 user citytwin and directories"
id citytwin >/dev/null 2>&1 || useradd --system --home-dir /var/lib/citytwin --shell /usr/sbin/nologin citytwin
install -d -m 0755 /opt/citytwin
install -d -m 0750 -g citytwin /etc/citytwin /etc/citytwin/devices
install -d -m 0700 -o citytwin -g citytwin /var/lib/citytwin

step "3/5 software into /opt/citytwin (about two minutes on a Raspberry Pi 4)"
[ -x /opt/citytwin/bin/python ] || python3 -m venv /opt/citytwin
/opt/citytwin/bin/python -m pip install --disable-pip-version-check -q --only-binary :all: --require-hashes -r deploy/gateway.lock
/opt/citytwin/bin/python -m pip install --disable-pip-version-check -q --no-deps --upgrade --force-reinstall .

step "4/5 configuration"
if [ -n "$config" ]; then
    install -m 0640 -g citytwin "$config" /etc/citytwin/gateway.toml
elif [ ! -e /etc/citytwin/gateway.toml ]; then
    install -m 0640 -g citytwin firmware_configs/sites/centre.toml /etc/citytwin/gateway.toml
    echo "  edit /etc/citytwin/gateway.toml, then: edge-agent check /etc/citytwin/gateway.toml"
fi
ln -sf /opt/citytwin/bin/edge-agent /usr/local/bin/edge-agent
if [ -n "$token" ]; then
    runuser -u citytwin -- edge-agent enrol --config /etc/citytwin/gateway.toml --token "$token"
fi

step "5/5 service"
install -m 0644 deploy/systemd/citytwin-edge.service /etc/systemd/system/citytwin-edge.service
if [ -d /run/systemd/system ]; then
    systemctl daemon-reload
    systemctl enable -q citytwin-edge
    systemctl restart citytwin-edge && systemctl --no-pager --lines 0 status citytwin-edge
else
    echo "  no systemd runs here: start it by hand with: edge-agent run /etc/citytwin/gateway.toml"
fi
