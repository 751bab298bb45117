#!/usr/bin/env bash
# Checks what other people's crates bring along, by deny.toml: licences, bans, sources, and the advisories of RustSec.
#
# The first three need nothing but the crates. The advisories are in a git repository on GitHub; without a network, a copy that
# was fetched within 90 days will do (cargo-deny's, in ~/.cargo/advisory-dbs), or a clone that ADVISORIES names. Without any the
# advisories are not checked, and that is said; with ADVISORIES=required it is an error.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/tools.sh cargo-deny
deny() { target/tools/bin/cargo-deny --locked "$@"; }
advisories=${ADVISORIES:-}

deny check --hide-inclusion-graph licenses bans sources

if [ -n "$advisories" ] && [ "$advisories" != required ]; then
  [ -d "$advisories" ] || { echo "scripts/audit.sh: ADVISORIES=$advisories is no directory" >&2; exit 1; }
  export GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0="url.file://$(cd "$advisories" && pwd).insteadOf"
  export GIT_CONFIG_VALUE_0=$(sed -n 's/^db-urls = \["\(.*\)"\]/\1/p' deny.toml)
fi
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if timeout 120 target/tools/bin/cargo-deny fetch db >"$log" 2>&1; then
  deny check advisories
elif compgen -G "${CARGO_HOME:-$HOME/.cargo}/advisory-dbs/*/crates" >/dev/null; then
  echo "the advisories cannot be fetched; the last copy is used"
  deny --offline check advisories
else
  echo "ADVISORIES NOT CHECKED: their database cannot be fetched, and there is no copy of it:" >&2
  grep -v '^ *$' "$log" | tail -1 >&2
  [ "$advisories" != required ] || exit 1
fi
