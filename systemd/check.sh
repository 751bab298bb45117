#!/bin/sh
# Checks units and example configurations without starting anything: `systemd-analyze verify` must say nothing,
# `systemd-analyze security` at most the limit below, and the binaries must accept the examples, with keystores and with bare
# keys. Needs systemd's tools, 252 or later, and no systemd that runs.
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
mkdir -p "$root/usr/bin" "$root/bin" "$root/usr/lib/systemd" "$root/etc/systemd/system" "$root/etc/ditto"
cp -r /usr/lib/systemd/system "$root/usr/lib/systemd/"
printf '#!/bin/sh\n' >"$root/bin/kill"
chmod 755 "$root/bin/kill"
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

# Anybody's keys, bare and in keystores. 31337's second account is the examples' aggregator; a consensus key lies below the
# curve's order.
umask 077
etc=$root/etc/ditto
mkdir "$root/bare" "$root/sealed"
echo 59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d >"$root/bare/submitter.json"
echo 0000000000000000000000000000000000000000000000000000000000000001 >"$root/bare/signer.json"
cp "$root/bare/signer.json" "$root/bare/consensus.json"
echo 'correct horse' >"$root/sealed/keystore-password"
for name in submitter signer consensus; do
	kind=ecdsa
	[ $name = consensus ] && kind=bls
	"$bin/ditto-operator" keys import "$root/sealed/$name.json" --kind $kind --from "$root/bare/$name.json" --light \
		--password-file "$root/sealed/keystore-password" >"$root/said" 2>&1 || fail "keys import: $(cat "$root/said")"
done

accepts() { # what, program, configuration, and the environment before it all
	what=$1 program=$2 config=$3
	shift 3
	env "$@" "$bin/$program" config check --config "$config" >"$root/said" 2>&1 </dev/null ||
		fail "$what: $(cat "$root/said")"
}
refuses() { # likewise
	what=$1 program=$2 config=$3
	shift 3
	env "$@" "$bin/$program" config check --config "$config" >"$root/said" 2>&1 </dev/null && fail "$what: was accepted"
	grep -q 'password of .* is needed' "$root/said" || fail "$what: $(cat "$root/said")"
}
for name in operator aggregator; do
	program=ditto-$name
	unit=$here/$program.service
	# By hand, as root.
	for keys in bare sealed; do
		rm -f "$etc"/*
		cp "$root/$keys"/* "$etc"
		sed "s|/etc/ditto/|$etc/|" "$here/$name.toml" >"$etc/$name.toml"
		accepts "$name.toml, $keys keys" $program "$etc/$name.toml"
	done
	# As the unit has it: what it loads is shown with systemd's mode for credentials, what is missing as SetCredential says, and
	# the variables go over the file. The service itself cannot look into /etc/ditto.
	credentials=$root/credentials
	sed "s|/etc/ditto/|/nonexistent/|" "$here/$name.toml" >"$root/$name.toml"
	variables=$(sed -n "s|^Environment=\(.*\)%d/|\1$credentials/|p" "$unit")
	for keys in bare sealed locked; do
		rm -rf "$credentials"
		mkdir "$credentials"
		sed -n 's/^SetCredential=//p' "$unit" | while IFS=: read -r credential value; do
			printf "$value" >"$credentials/$credential"
		done
		sed -n 's/^LoadCredential=//p' "$unit" | while IFS=: read -r credential file; do
			file=${file##*/}
			case $keys:$file in
			*:"$name.toml") from=$root/$file ;;
			locked:keystore-password) continue ;;
			locked:*) from=$root/sealed/$file ;;
			*) from=$root/$keys/$file ;;
			esac
			if [ -e "$from" ]; then cp "$from" "$credentials/$credential"; fi
		done
		chmod 440 "$credentials"/*
		check=accepts
		[ $keys = locked ] && check=refuses
		# One variable a line, none with a space.
		# shellcheck disable=SC2086
		$check "$program.service, $keys keys" $program "$credentials/$name.toml" CREDENTIALS_DIRECTORY="$credentials" $variables
	done
done
[ $failed = 0 ] && echo "units and examples are good, with keystores and with bare keys"
exit $failed
