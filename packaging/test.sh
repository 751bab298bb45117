#!/usr/bin/env bash
# Installs, configures, upgrades, removes and purges the packages of target/debian in a clean Debian root, where the binaries
# also run: without a network, without this machine's files. Needs root, mmdebstrap and, for the first time, a network: the root
# is made once and kept in target/.
#
#   make deb && packaging/test.sh [suite]        by default bookworm, whose glibc 2.36 is the oldest that is promised
set -euo pipefail
cd "$(dirname "$0")/.."
suite=${1:-bookworm}
include=ca-certificates,procps,systemd
base=target/debian-root-$suite-${include//,/-}.tar
say() { echo "packaging/test.sh: $*" >&2; exit 1; }
if [ -z "${DITTO_PACKAGES_INSIDE:-}" ]; then
  [ "$(id -u)" = 0 ] || say "run it as root: it makes a root file system and changes into it"
  compgen -G "target/debian/ditto-operator_*.deb" >/dev/null || say "there are no packages in target/debian; run \`make deb\` first"
  if ! [ -s "$base" ]; then
    command -v mmdebstrap >/dev/null || say "install mmdebstrap first (apt-get install mmdebstrap)"
    echo "making a clean $suite (once; needs a Debian mirror)"
    mmdebstrap --quiet --variant=minbase --include=$include "$suite" "$base.new" || say "$suite cannot be made; is there a network?"
    mv "$base.new" "$base"
  fi
  # What is mounted goes with it, and nothing in it finds a network.
  DITTO_PACKAGES_INSIDE=yes exec unshare --mount --net --pid --fork --kill-child --propagation private "$0" "$@"
fi

root=$(mktemp -d)
trap 'umount "$root/proc" 2>/dev/null; rm -rf --one-file-system "$root"' EXIT
tar -C "$root" -xf "$base"
mount -t proc proc "$root/proc"
for node in null zero full random urandom; do
  [ -e "$root/dev/$node" ] || { touch "$root/dev/$node" && mount --bind "/dev/$node" "$root/dev/$node"; }
done
mkdir "$root/packages"
inside() { chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root DEBIAN_FRONTEND=noninteractive "$@" </dev/null; }
fail() { echo "FAILED: $*" >&2; [ ! -s "$root/said" ] || cat "$root/said" >&2; exit 1; }
quietly() { "$@" >"$root/said" 2>&1; }

# An older release, to upgrade from: the same but for its number.
for package in target/debian/*.deb; do
  name=$(basename "$package")
  cp "$package" "$root/packages/$name"
  dpkg-deb --raw-extract "$package" "$root/older"
  sed -i 's/^Version: .*/Version: 0.0.1-1/' "$root/older/DEBIAN/control"
  dpkg-deb -Zgzip -z1 --root-owner-group --build "$root/older" "$root/packages/${name%%_*}.older" >/dev/null
  rm -rf "$root/older"
done

inside sh -c 'dpkg --install /packages/*.older' || fail "installation"
for name in operator aggregator; do
  unit=ditto-$name.service
  doc=$root/usr/share/doc/ditto-$name
  quietly inside ditto-$name --version || fail "ditto-$name does not run"
  [ "$(stat -c %a "$root/etc/ditto")" = 700 ] || fail "/etc/ditto is open to others"
  [ "$(stat -c %a "$root/etc/ditto/$name.toml")" = 600 ] || fail "$name.toml is open to others"
  zgrep -q "^.TH ditto-$name 1" "$root/usr/share/man/man1/ditto-$name.1.gz" || fail "no man page"
  for place in bash-completion/completions/ditto-$name zsh/vendor-completions/_ditto-$name fish/vendor_completions.d/ditto-$name.fish; do
    [ -s "$root/usr/share/$place" ] || fail "no completion: $place"
  done
  bash -n "$root/usr/share/bash-completion/completions/ditto-$name" || fail "the completion for bash is broken"
  grep -q '^License: Expat or Apache-2.0' "$doc/copyright" || fail "no copyright"
  zgrep -q '^blst ' "$doc/third-party.txt.gz" || fail "no notices of other people's crates"
  zgrep -q '"bomFormat": "CycloneDX"' "$doc/sbom.cdx.json.gz" || fail "no bill of materials"
  zgrep -q "$PWD" "$doc/sbom.cdx.json.gz" && fail "the bill of materials tells where it was built"
  [ -s "$doc/${name}s-guide.md" ] || fail "no guide"
  [ "$(inside systemctl is-enabled $unit 2>/dev/null || true)" = disabled ] || fail "$unit is enabled by itself"
  quietly inside systemctl enable $unit || fail "$unit cannot be enabled"
  quietly inside systemd-analyze verify --man=no --recursive-errors=no "/usr/lib/systemd/system/$unit" || fail "$unit is not good where it was installed"
done

# From nothing to a configuration that is accepted, as the guide has it.
(umask 077 && echo 'correct horse battery' >"$root/etc/ditto/keystore-password")
quietly inside ditto-operator generate --light --out /root/keys --password-file /etc/ditto/keystore-password || fail "generate"
cp -p "$root/root/keys/consensus.json" "$root/root/keys/signer.json" "$root/etc/ditto"
(umask 077 && echo 59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d >"$root/root/submitter.key")
quietly inside ditto-operator keys import /etc/ditto/submitter.json --kind ecdsa --from /root/submitter.key --light \
  --password-file /etc/ditto/keystore-password || fail "import"
for name in operator aggregator; do
  quietly inside ditto-$name config check --config /etc/ditto/$name.toml || fail "the example of $name is refused"
  echo "# mine" >>"$root/etc/ditto/$name.toml"
done
quietly inside ditto-operator journal init || fail "journal init"
quietly inside ditto-operator journal check || fail "journal check"
# Without network, node and stake there is much to complain about, and none of it may be a crash. The sandbox has to run.
code=0
quietly inside ditto-operator doctor --json || code=$?
[ $code = 1 ] || fail "doctor ended with $code, not 1"
python3 - "$root/said" <<'PYTHON' || fail "what doctor says is not as it should be"
import json, sys
told = json.load(open(sys.argv[1]))
findings = told["findings"] if isinstance(told, dict) else told
assert len(findings) > 10, findings
bad = [finding for finding in findings if finding.get("status", finding.get("level")) == "fail"]
assert bad, findings
PYTHON
quietly inside ditto-operator-as-service journal check && fail "as-service ran without a systemd"
grep -q '^ditto-operator-as-service: ' "$root/said" || fail "as-service does not say what is missing"

# An upgrade leaves what the operator wrote, and does not tell a beginner's first steps again.
quietly inside sh -c 'dpkg --install /packages/*.deb' || fail "upgrade"
grep -q 'neither enabled nor started' "$root/said" && fail "an upgrade begins from the beginning"
for name in operator aggregator; do
  grep -qx "# mine" "$root/etc/ditto/$name.toml" || fail "the upgrade overwrote $name.toml"
  [ "$(inside systemctl is-enabled ditto-$name.service)" = enabled ] || fail "the upgrade disabled ditto-$name"
done
quietly inside ditto-operator journal check || fail "the upgrade took the journal"

quietly inside dpkg --remove ditto-operator ditto-aggregator || fail "removal"
[ -e "$root/usr/bin/ditto-operator" ] && fail "the binary stayed"
[ -e "$root/etc/ditto/operator.toml" ] || fail "removing took the configuration"
quietly inside dpkg --purge ditto-operator ditto-aggregator || fail "purge"
[ -e "$root/etc/ditto/operator.toml" ] && fail "purging left the configuration"
[ -s "$root/etc/ditto/consensus.json" ] || fail "purging took a key"
[ -s "$root/var/lib/ditto-operator/journal.redb" ] || fail "purging took the journal"
left=$(find "$root/usr" "$root/etc/systemd" "$root/var/lib/systemd" -iname '*ditto*' | sed "s|^$root||")
[ -z "$left" ] || fail "purging left $left"
echo "the packages install, run, upgrade, go and leave keys and journal alone, on $suite ($(inside ldd --version | head -1))"
