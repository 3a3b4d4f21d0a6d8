#!/usr/bin/env bash
# Install the aggregator on a 64-bit Debian as a systemd service; run again to upgrade.
#
#   sudo deploy/install-aggregator.sh --name twin.example.org [--root-offline DIR]
#
# --name          the DNS name or IP address that gateways dial; ports 7443 (sync) and 7444 (enrolment)
# --root-offline  write the root's private key there, as a stick, instead of beside the rest
# --root          put the files below DIR, for an image that is being built: no user, no authority, no service there
set -euo pipefail
cd "$(dirname "$0")/.."
name='' offline='' root=''
while [ $# -gt 0 ]; do
    case $1 in
        --name) name=${2:?--name needs what gateways dial}; shift 2 ;;
        --root-offline) offline=$(realpath -e "${2:?--root-offline needs a directory}"); shift 2 ;;
        --root) root=$(realpath -e "${2:?--root needs a directory}"); shift 2 ;;
        -h | --help) sed -n '2,9s/^# \{0,1\}//p' "$0"; exit 0 ;;
        *) echo "error: unknown option $1; see --help" >&2; exit 2 ;;
    esac
done
step() { printf '▸ %s\n' "$*"; }
state=/var/lib/citytwin-aggregator user=citytwin-aggregator
[ -n "$root" ] || [ "$(id -u)" = 0 ] || { echo "error: run it as root: sudo $0" >&2; exit 1; }
[ -n "$root$name" ] || [ -e "$state/aggregator.toml" ] ||
    { echo "error: say what gateways dial: --name twin.example.org" >&2; exit 2; }
case $(uname -m) in aarch64 | x86_64) ;; *) echo "error: $(uname -m) is not supported; a 64-bit system is needed" >&2; exit 1 ;; esac

step "1/5 Python"
if ! python3 -c 'import ensurepip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    apt-get update -q >/dev/null && apt-get install -y -q python3 python3-venv >/dev/null
fi
python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    { echo "error: $(python3 --version) is too old; Debian 12 or newer brings 3.11" >&2; exit 1; }

step "2/5 user $user and directories"
owner=(-o "$user" -g "$user")
if [ -n "$root" ]; then
    owner=()
    echo "  no user below $root: the image needs a user and a group $user, who own $state"
elif ! id "$user" >/dev/null 2>&1; then
    useradd --system --home-dir "$state" --shell /usr/sbin/nologin "$user"
fi
# a machine may be a gateway as well: the software is the same, the files are apart
install -d -m 0755 "$root/opt/citytwin" "$root/usr/local/bin" "$root/etc/systemd/system" "$root/etc/citytwin"
install -d -m 0700 "${owner[@]}" "$root$state"

step "3/5 software into /opt/citytwin"
python=$root/opt/citytwin/bin/python
[ -x "$python" ] || python3 -m venv "$root/opt/citytwin"
"$python" -m pip install --disable-pip-version-check -q --only-binary :all: --require-hashes -r deploy/aggregator.lock
"$python" -m pip install --disable-pip-version-check -q --no-deps --upgrade --force-reinstall .
ln -sf /opt/citytwin/bin/aggregator "$root/usr/local/bin/aggregator"

step "4/5 authority and configuration"
file=$state/aggregator.toml
ln -sfn "$file" "$root/etc/citytwin/aggregator.toml" # where every verb looks for it
if [ -z "$root" ] && [ ! -e "$file" ]; then
    [ -z "$offline" ] || install -d -m 0700 "${owner[@]}" "$offline/citytwin-root"
    runuser -u "$user" -- /opt/citytwin/bin/aggregator init "$state" --listen 0.0.0.0 --name "$name" \
        ${offline:+--root-offline "$offline/citytwin-root"}
fi

step "5/5 service"
unit=$root/etc/systemd/system/citytwin-aggregator.service
install -m 0644 deploy/systemd/citytwin-aggregator.service "$unit"
if [ -n "$root" ]; then
    install -d -m 0755 "$root/etc/systemd/system/multi-user.target.wants"
    ln -sf ../citytwin-aggregator.service "$root/etc/systemd/system/multi-user.target.wants/citytwin-aggregator.service"
    find "$root/opt/citytwin/bin" -type f -exec sed -i "1s|^#!$root/|#!/|" {} + # as they will be called there
elif [ -d /run/systemd/system ]; then
    systemctl daemon-reload
    systemctl enable -q citytwin-aggregator
    systemctl restart citytwin-aggregator && systemctl --no-pager --lines 0 status citytwin-aggregator
else
    echo "  no systemd runs here: start it by hand: runuser -u $user -- aggregator serve"
fi
echo "  a gateway's token: sudo -u $user aggregator enrol-token GATEWAY"
