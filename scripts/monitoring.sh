#!/usr/bin/env bash
# Runs a command (the end-to-end tests) under the real Prometheus, and checks with what it scraped that dashboards, alerts,
# metrics and runbook are true to each other: grafana/README.md. Without a command, only what can be told from the files.
set -euo pipefail
cd "$(dirname "$0")/.."
tools=$(scripts/prometheus.sh)
export PATH="$tools:$PATH" PYTHONDONTWRITEBYTECODE=1
(
  cd grafana/prometheus
  promtool check config prometheus.yml
  promtool test rules alerts_test.yml
)
grafana/dashboards.py --check
if [ $# -eq 0 ]; then
  exec grafana/check.py
fi
exec grafana/live.py "$@"
