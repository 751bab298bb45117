#!/usr/bin/env bash
# Runs every fuzz target for a bounded time, from the seeds that are checked in, with cargo-fuzz (libFuzzer):
#
#   scripts/fuzz.sh [seconds for each target; default 30] [target...]
#   scripts/fuzz.sh --seeds          writes the seeds anew (fuzz/seeds), after a change of a format
#
# Needs cargo-fuzz, and installs it from crates.io when it is missing. It runs on the stable toolchain: without a sanitizer,
# since the code is safe Rust but for system calls and blst; overflow checks and debug assertions are on. With nightly,
# FUZZ_SANITIZER=address FUZZ_TOOLCHAIN=nightly looks at those too, at about half the speed.
# What it finds lies in fuzz/artifacts; what it learns in fuzz/corpus (neither is checked in).
set -euo pipefail
cd "$(dirname "$0")/.."

cargo fuzz --version >/dev/null 2>&1 || {
  echo "installing cargo-fuzz"
  cargo install --quiet --locked cargo-fuzz || {
    echo "scripts/fuzz.sh: cargo-fuzz is missing and could not be installed: cargo install --locked cargo-fuzz" >&2
    exit 1
  }
}
command -v c++ >/dev/null || {
  echo "scripts/fuzz.sh: libFuzzer needs a C++ compiler (apt-get install g++)" >&2
  exit 1
}

fuzz=(cargo ${FUZZ_TOOLCHAIN:+"+$FUZZ_TOOLCHAIN"} fuzz)
flags=(--sanitizer "${FUZZ_SANITIZER:-none}")
mapfile -t all < <(sed -n 's/^name = "\(.*\)"$/\1/p' fuzz/Cargo.toml | grep -v '^ditto-fuzz$')

"${fuzz[@]}" build "${flags[@]}"

if [ "${1:-}" = --seeds ]; then
  for target in "${all[@]}"; do
    DITTO_FUZZ_WRITE_SEEDS="$PWD/fuzz/seeds" "${fuzz[@]}" run "${flags[@]}" "$target" -- -runs=0
  done
  exit
fi

seconds="${1:-30}"
shift || true
targets=("$@")
[ "${#targets[@]}" -gt 0 ] || targets=("${all[@]}")
log="$(mktemp)"
trap 'rm -f "$log"' EXIT
failed=()
printf '%-20s %12s %10s %8s\n' target executions per-second coverage
for target in "${targets[@]}"; do
  mkdir -p "fuzz/corpus/$target" "fuzz/seeds/$target"
  # The first directory is written to. A single input may take 10 s, 2 GiB.
  if "${fuzz[@]}" run "${flags[@]}" "$target" "fuzz/corpus/$target" "fuzz/seeds/$target" -- \
    -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -max_len=16384 -print_final_stats=1 >"$log" 2>&1; then
    executions="$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")"
    rate="$(sed -n 's/^stat::average_exec_per_sec: *//p' "$log")"
    coverage="$(grep -o 'cov: [0-9]*' "$log" | tail -1 | cut -d' ' -f2)"
    printf '%-20s %12s %10s %8s\n' "$target" "$executions" "$rate" "${coverage:--}"
  else
    failed+=("$target")
    printf '%-20s FAILED\n' "$target"
    tail -40 "$log" >&2
  fi
done
[ "${#failed[@]}" -eq 0 ] || {
  echo "failed: ${failed[*]}; inputs in fuzz/artifacts; repeat one with: cargo fuzz run --sanitizer none TARGET FILE" >&2
  exit 1
}
