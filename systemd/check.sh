#!/bin/sh
# Checks units and example configurations without starting anything: `systemd-analyze verify` must say nothing,
# `systemd-analyze security` at most the limit below, and the binaries must accept the examples.
#
#   systemd/check.sh [DIRECTORY OF THE BINARIES]        by default target/debug
#
# systemd/try.sh really runs a unit.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
bin=$(cd "${1:-$here/../target/debug}" && pwd)
limit=15 # tenths: systemd reckons from 0 (confined) to 10
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
failed=0
fail() {
	echo "FAILED $*" >&2
	failed=1
}

# verify looks for the programs where the units name them.
mkdir -p "$root/usr/bin" "$root/usr/lib/systemd" "$root/etc/systemd/system" "$root/etc/ditto"
cp -r /usr/lib/systemd/system "$root/usr/lib/systemd/"
cp "$here"/*.service "$root/etc/systemd/system/"
for name in operator aggregator; do
	unit=ditto-$name.service
	[ -x "$bin/ditto-$name" ] || fail "$bin/ditto-$name is not there"
	printf '#!/bin/sh\n' >"$root/usr/bin/ditto-$name"
	chmod 755 "$root/usr/bin/ditto-$name"
	said=$(systemd-analyze verify --man=no --recursive-errors=no --root="$root" "$root/etc/systemd/system/$unit" 2>&1) ||
		fail "$unit: systemd-analyze verify: $said"
	[ -z "$said" ] || fail "$unit: systemd-analyze verify says: $said"
	systemd-analyze security --offline=true --threshold="$limit" "$here/$unit" >"$root/security" 2>&1 ||
		fail "$unit is more exposed than $limit tenths"
	sed -n 's/^.*Overall exposure level/exposure/p' "$root/security"
done

# Anybody's keys. 31337's second account is the examples' aggregator; a consensus key lies below the curve's order.
umask 077
echo 59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d >"$root/etc/ditto/submitter.key"
echo 0000000000000000000000000000000000000000000000000000000000000001 >"$root/etc/ditto/signer.key"
cp "$root/etc/ditto/signer.key" "$root/etc/ditto/consensus.key"
for name in operator aggregator; do
	config="$root/etc/ditto/$name.toml"
	sed "s|/etc/ditto/|$root/etc/ditto/|" "$here/$name.toml" >"$config"
	"$bin/ditto-$name" config check --config "$config" || fail "$name.toml is refused"
	# As the unit has it: the variables go over the file, and systemd's mode for credentials is accepted.
	sed "s|$root/etc/ditto/.*key|/nonexistent|" "$config" >"$root/service.toml"
	credentials=$root/credentials
	rm -rf "$credentials"
	cp -r "$root/etc/ditto" "$credentials"
	chmod 440 "$credentials"/*
	env CREDENTIALS_DIRECTORY="$credentials" $(sed -n "s|^Environment=\(.*\)%d/|\1$credentials/|p" "$here/ditto-$name.service") \
		"$bin/ditto-$name" config check --config "$root/service.toml" || fail "$name.toml is refused with the unit's variables"
done
[ $failed = 0 ] && echo "units and examples are good"
exit $failed
