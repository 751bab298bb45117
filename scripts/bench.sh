#!/usr/bin/env bash
# Runs every benchmark in release and merges what they measured into target/bench.json: an array of
# {name, value, unit, peer, peer_value, ratio}. Name areas to run only some of them: scripts/bench.sh votes
set -euo pipefail
cd "$(dirname "$0")/.."

# area  package (or the manifest of one that stands alone)  bench target
benches=(
  "sandbox ditto-sandbox sandbox"
  "votes  aggregator/benches/Cargo.toml  votes"
  "load   aggregator/benches/Cargo.toml  load"
  "reads  ditto-operator  reads"
  "flood ditto-core flood"
)

rm -rf target/bench
mkdir -p target/bench
for bench in "${benches[@]}"; do
  read -r area package target <<<"$bench"
  [ $# -eq 0 ] || [[ " $* " == *" $area "* ]] || continue
  echo "== $area"
  case "$package" in
    *.toml) cargo bench --quiet --manifest-path "$package" --target-dir target --bench "$target" ;;
    *) cargo bench --quiet -p "$package" --bench "$target" ;;
  esac
done
node -e '
const fs = require("fs");
const all = fs.readdirSync("target/bench").sort().flatMap((file) => JSON.parse(fs.readFileSync(`target/bench/${file}`)));
fs.writeFileSync("target/bench.json", JSON.stringify(all, null, 2) + "\n");
const beside = (r) => r.peer ? `${r.ratio.toFixed(2)} x ${r.peer} (${r.peer_value})` : "";
console.table(Object.fromEntries(all.map((r) => [r.name, { value: r.value, unit: r.unit, beside: beside(r) }])));
'
echo "written to target/bench.json"
