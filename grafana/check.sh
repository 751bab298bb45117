#!/bin/sh
# Checks configuration, alerts and dashboards against promtool and against what a running network exports.
#
#   target/debug/ditto-devnet --slots 10 --keep        # prints where its nodes are
#   curl -s http://127.0.0.1:PORT/metrics > operator.prom      # and the same of the aggregator
#   grafana/check.sh operator.prom aggregator.prom [--prometheus http://127.0.0.1:9090]
#
# Needs promtool (Debian: prometheus) and python3.
set -eu

[ $# -ge 2 ] || { sed -n "2,8s/^# \{0,1\}//p" "$0" >&2; exit 2; }
operator=$(realpath "$1") aggregator=$(realpath "$2")
shift 2
cd "$(dirname "$0")"
(
	cd prometheus
	promtool check config prometheus.yml
	promtool test rules alerts_test.yml
)
promtool check metrics <"$operator" >/dev/null || echo "note: promtool has remarks on an operator's metrics"
python3 dashboards.py --check
python3 check.py "$operator" "$aggregator" "$@"
