#!/usr/bin/env bash
# Install a gateway on Raspberry Pi OS or Debian (64-bit) as a systemd service; run again to upgrade.
#
#   sudo deploy/install-gateway.sh [--config gateway.toml] [--token TOKEN] [--root DIR]
#
# --config   the gateway's file; without it an example is put into /etc/citytwin to be edited
# --token    enrol at once with the line that `aggregator enrol-token GATEWAY` printed; - reads it from standard input
# --root     put the files below DIR, for an image that is being built: no user is made, no service started there
set -euo pipefail
cd "$(dirname "$0")/.."
config='' token='' root=''
while [ $# -gt 0 ]; do
    case $1 in
        --config) config=${2:?--config needs a file}; shift 2 ;;
        --token) token=${2:?--token needs a token}; shift 2 ;;
        --root) root=$(realpath -e "${2:?--root needs a directory}"); shift 2 ;;
        -h | --help) sed -n '2,9s/^# \{0,1\}//p' "$0"; exit 0 ;;
        *) echo "error: unknown option $1; see --help" >&2; exit 2 ;;
    esac
done
[ "$token" != - ] || read -r token
step() { printf '▸ %s\n' "$*"; }
[ -z "$root" ] || [ -z "$token" ] || { echo "error: --token needs the running system, not --root" >&2; exit 2; }
[ -n "$root" ] || [ "$(id -u)" = 0 ] || { echo "error: run it as root: sudo $0" >&2; exit 1; }
case $(uname -m) in aarch64 | x86_64) ;; *) echo "error: $(uname -m) is not supported; a 64-bit system is needed" >&2; exit 1 ;; esac

step "1/5 Python"
if ! python3 -c 'import ensurepip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    apt-get update -q >/dev/null && apt-get install -y -q python3 python3-venv >/dev/null
fi
python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    { echo "error: $(python3 --version) is too old; Debian 12 or newer brings 3.11" >&2; exit 1; }

step "2/5 user citytwin and directories"
group=(-g citytwin) owner=(-o citytwin)
if [ -n "$root" ]; then
    group=() owner=()
    echo "  no user below $root: the image needs a user and a group citytwin, who own /var/lib/citytwin"
elif ! id citytwin >/dev/null 2>&1; then
    useradd --system --home-dir /var/lib/citytwin --shell /usr/sbin/nologin citytwin
fi
# /etc/citytwin is also the aggregator's, where a machine is both; what is in it has modes of its own
install -d -m 0755 "$root/opt/citytwin" "$root/usr/local/bin" "$root/etc/systemd/system" "$root/etc/citytwin"
install -d -m 0750 "${group[@]}" "$root/etc/citytwin/devices"
install -d -m 0700 "${owner[@]}" "${group[@]}" "$root/var/lib/citytwin"

step "3/5 software into /opt/citytwin (about two minutes on a Raspberry Pi 4)"
python=$root/opt/citytwin/bin/python
[ -x "$python" ] || python3 -m venv "$root/opt/citytwin"
"$python" -m pip install --disable-pip-version-check -q --only-binary :all: --require-hashes -r deploy/gateway.lock
"$python" -m pip install --disable-pip-version-check -q --no-deps --upgrade --force-reinstall .

step "4/5 configuration"
file=$root/etc/citytwin/gateway.toml
if [ -n "$config" ]; then
    install -m 0640 "${group[@]}" "$config" "$file"
elif [ ! -e "$file" ]; then
    install -m 0640 "${group[@]}" firmware_configs/sites/centre.toml "$file"
    echo "  edit $file, then: edge-agent check $file"
fi
ln -sf /opt/citytwin/bin/edge-agent "$root/usr/local/bin/edge-agent"
if [ -n "$token" ]; then
    # by standard input: a process list would show it
    runuser -u citytwin -- "$root/opt/citytwin/bin/edge-agent" enrol "$file" --token - <<<"$token"
fi

step "5/5 service"
unit=$root/etc/systemd/system/citytwin-edge.service
install -m 0644 deploy/systemd/citytwin-edge.service "$unit"
if [ -n "$root" ]; then
    install -d -m 0755 "$root/etc/systemd/system/multi-user.target.wants"
    ln -sf ../citytwin-edge.service "$root/etc/systemd/system/multi-user.target.wants/citytwin-edge.service"
    find "$root/opt/citytwin/bin" -type f -exec sed -i "1s|^#!$root/|#!/|" {} +  # as they will be called in the image
elif [ -d /run/systemd/system ]; then
    systemctl daemon-reload
    systemctl enable -q citytwin-edge
    systemctl restart citytwin-edge && systemctl --no-pager --lines 0 status citytwin-edge
else
    echo "  no systemd runs here: start it by hand with: edge-agent run $file"
fi
