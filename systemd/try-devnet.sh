#!/bin/bash
# Runs a devnet, and each unit in the place of one of its nodes: an operator with its keys in keystores and its journal moved
# along, then with bare keys and a new journal, and the aggregator. Needs root; takes about four minutes.
#
#   systemd/try-devnet.sh [DIRECTORY OF THE BINARIES]        by default target/debug
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
bin=$(cd "${1:-$here/../target/debug}" && pwd)
net=$(mktemp -d)
"$bin/ditto-devnet" --dir "$net/net" --workflows 8 --slots 5 --keep >"$net/devnet.log" 2>&1 &
devnet=$!
trap 'kill $devnet 2>/dev/null; wait $devnet 2>/dev/null || true; rm -rf "$net"' EXIT
for _ in $(seq 180); do
	# Its table comes when the counted slots are over: the network works.
	grep -q 'executed twice' "$net/devnet.log" && break
	kill -0 $devnet 2>/dev/null || { cat "$net/devnet.log" >&2; exit 1; }
	sleep 1
done
umask 077

stop() { # name of the node, as its files are called
	local pid
	for pid in $(cat /proc/$devnet/task/*/children); do
		grep -qx "$net/net/$1.toml" <<<"$(tr '\0' '\n' <"/proc/$pid/cmdline")" || continue
		kill "$pid"
		while kill -0 "$pid" 2>/dev/null && ! grep -q '^State:	Z' "/proc/$pid/status"; do sleep 0.2; done
	done
}
etc() { # node, name of its configuration: what goes to /etc/ditto
	rm -rf "$net/etc"
	mkdir "$net/etc"
	# Where the unit keeps its state, and where its variables say the keys are.
	sed '/^state_dir/d' "$net/net/$1.toml" >"$net/etc/$2.toml"
}
sealed() { # file of the key, kind, name
	"$bin/ditto-operator" keys import "$net/etc/$3.json" --kind "$2" --from "$net/net/$1" --light \
		--password-file "$net/etc/keystore-password" >/dev/null
}

stop operator-3
etc operator-3 operator
echo 'correct horse battery' >"$net/etc/keystore-password"
sealed operator-3.consensus.key bls consensus
sealed operator-3.signer.key ecdsa signer
"$bin/ditto-operator" journal --config "$net/net/operator-3.toml" export --retire >"$net/etc/journal"
BIN=$bin "$here/try.sh" operator "$net/etc" 20

# The same one again, for without the other three there is no quorum; what it signed before went with its state.
etc operator-3 operator
cp "$net/net/operator-3.consensus.key" "$net/etc/consensus.json"
cp "$net/net/operator-3.signer.key" "$net/etc/signer.json"
BIN=$bin "$here/try.sh" operator "$net/etc" 20

stop aggregator
etc aggregator aggregator
echo 'correct horse battery' >"$net/etc/keystore-password"
sealed aggregator.submitter.key ecdsa submitter
BIN=$bin "$here/try.sh" aggregator "$net/etc" 20
