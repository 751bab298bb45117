#!/usr/bin/env bash
# Builds the named cargo tools into target/tools/bin, each of one version, when they are not there: scripts/tools.sh cargo-deny …
# Compiled with little optimisation, for they run for seconds; but for the one that compares 500 licence texts.
set -euo pipefail
cd "$(dirname "$0")/.."
declare -A version=([cargo-deb]=3.8.0 [cargo-deny]=0.20.2 [cargo-about]=0.9.3 [cargo-cyclonedx]=0.5.9)
declare -A features=([cargo-about]=cli) level=([cargo-about]=3)

tools=target/tools
mkdir -p $tools
exec 9>$tools/.lock
flock 9
built=
for name in "$@"; do
  wanted=${version[$name]:?"scripts/tools.sh knows no $name"}
  # What was installed is what .crates.toml says; the tools print their versions in a way of their own each.
  if [ -x "$tools/bin/$name" ] && grep -q "^\"$name $wanted " "$tools/.crates.toml"; then continue; fi
  echo "building $name $wanted into $tools (some minutes, once)"
  CARGO_PROFILE_RELEASE_OPT_LEVEL=${level[$name]:-1} CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_DEBUG=0 \
    cargo install --quiet --locked --root $tools --target-dir $tools/build --features "${features[$name]:-}" "$name@$wanted"
  built=yes
done
[ -z "$built" ] || rm -rf $tools/build
