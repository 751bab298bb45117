#!/usr/bin/env bash
# Writes docs/metrics.md from what the binaries of target/debug describe; with --check it only compares.
set -euo pipefail
cd "$(dirname "$0")/.."
bin="${CARGO_TARGET_DIR:-target}/debug"
made=$(mktemp)
trap 'rm -f "$made"' EXIT
{
  cat <<'HEAD'
# Metrics

What the binaries export at `/metrics`, in base units, with Prometheus' own names where there are some. `scripts/metrics.sh` writes this
file from the code's own descriptions, and `make e2e` fails when it is stale. Labels are bounded: stages, outcomes, chains,
endpoints by host and port. Every stage has the `ditto_stage_*` metrics under its name.

HEAD
  echo "## ditto-operator"
  echo
  "$bin/ditto-operator" metrics
  echo
  echo "## ditto-aggregator"
  echo
  "$bin/ditto-aggregator" metrics
} >"$made"
if [ "${1:-}" = --check ]; then
  diff -u docs/metrics.md "$made" >&2 || {
    echo "docs/metrics.md is stale: run scripts/metrics.sh" >&2
    exit 1
  }
else
  cp "$made" docs/metrics.md
fi
