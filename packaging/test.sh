#!/usr/bin/env bash
# Installs, configures, upgrades, removes and purges the packages of target/debian in a clean Debian root, where the binaries
# also run. Needs root and mmdebstrap; the root is made once and kept in target/.
#
#   make deb && packaging/test.sh [suite]        by default bookworm
set -euo pipefail
cd "$(dirname "$0")/.."
suite=${1:-bookworm}
base=target/debian-root-$suite.tar
command -v mmdebstrap >/dev/null || { echo "packaging/test.sh: install mmdebstrap first" >&2; exit 1; }
if ! [ -s "$base" ]; then
  echo "making a clean $suite"
  mmdebstrap --quiet --variant=minbase --include=ca-certificates,systemd "$suite" "$base"
fi
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
tar -C "$root" -xf "$base"
cp target/debian/*.deb "$root/tmp/"
inside() { chroot "$root" env -i PATH=/usr/sbin:/usr/bin HOME=/root DEBIAN_FRONTEND=noninteractive "$@"; }
fail() { echo "FAILED: $*" >&2; exit 1; }
key=0000000000000000000000000000000000000000000000000000000000000001

inside sh -c 'dpkg --install /tmp/*.deb' || fail "installation"
for name in operator aggregator; do
  unit=ditto-$name.service
  inside ditto-$name --version || fail "ditto-$name does not run"
  [ "$(stat -c %a "$root/etc/ditto")" = 700 ] || fail "/etc/ditto is open to others"
  [ "$(stat -c %a "$root/etc/ditto/$name.toml")" = 600 ] || fail "$name.toml is open to others"
  [ -s "$root/usr/share/man/man1/ditto-$name.1.gz" ] || fail "no man page"
  for place in bash-completion/completions/ditto-$name zsh/vendor-completions/_ditto-$name fish/vendor_completions.d/ditto-$name.fish; do
    [ -s "$root/usr/share/$place" ] || fail "no completion: $place"
  done
  [ "$(inside systemctl is-enabled $unit 2>/dev/null || true)" = disabled ] || fail "$unit is enabled by itself"
  inside systemctl enable --quiet $unit || fail "$unit cannot be enabled"
done
(umask 077 && echo $key | tee "$root/etc/ditto/signer.key" "$root/etc/ditto/consensus.key" >/dev/null)
(umask 077 && echo 59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d >"$root/etc/ditto/submitter.key")
for name in operator aggregator; do
  inside ditto-$name config check --config /etc/ditto/$name.toml >/dev/null || fail "the example of $name is refused"
  echo "# mine" >>"$root/etc/ditto/$name.toml"
done

# An upgrade leaves what the operator wrote.
inside sh -c 'dpkg --install /tmp/*.deb' >/dev/null || fail "upgrade"
for name in operator aggregator; do
  grep -qx "# mine" "$root/etc/ditto/$name.toml" || fail "the upgrade overwrote $name.toml"
done

inside dpkg --remove ditto-operator ditto-aggregator >/dev/null || fail "removal"
[ -e "$root/usr/bin/ditto-operator" ] && fail "the binary stayed"
[ -e "$root/etc/ditto/operator.toml" ] || fail "removing took the configuration"
inside dpkg --purge ditto-operator ditto-aggregator || fail "purge"
[ -e "$root/etc/ditto/operator.toml" ] && fail "purging left the configuration"
[ -s "$root/etc/ditto/consensus.key" ] || fail "purging took a key"
echo "the packages install, run, upgrade, go and leave keys alone, on $suite"
