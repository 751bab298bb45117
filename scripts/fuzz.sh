#!/usr/bin/env bash
# Runs every fuzz target for a bounded time (seconds for each; default 30) on the corpus that is checked in.
set -euo pipefail
cd "$(dirname "$0")/.."
seconds="${1:-30}"
echo "no fuzz targets yet (${seconds} s each)" >&2
exit 1
