#!/usr/bin/env bash
# Prints the directory that has `prometheus` and `promtool`: PATH's, or Debian's package, unpacked below target/. It is not
# installed, so no service of its starts.
set -euo pipefail
cd "$(dirname "$0")/.."
if command -v prometheus >/dev/null && command -v promtool >/dev/null; then
  dirname "$(command -v prometheus)"
  exit
fi
tools="${CARGO_TARGET_DIR:-$PWD/target}/prometheus"
if [ ! -x "$tools/usr/bin/prometheus" ]; then
  mkdir -p "$tools"
  as_root=()
  [ "$(id -u)" -eq 0 ] || as_root=(sudo)
  fetch() { (cd "$tools" && apt-get download -qq prometheus); }
  # The package lists of a fresh machine are empty, those of an old one stale: only then they are fetched.
  { fetch || { "${as_root[@]}" apt-get update -qq && fetch; }; } >&2
  dpkg-deb --extract "$tools"/prometheus_*.deb "$tools"
  rm -f "$tools"/prometheus_*.deb
fi
echo "$tools/usr/bin"
