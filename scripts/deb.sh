#!/usr/bin/env bash
# Builds target/debian/ditto-operator_*.deb and ditto-aggregator_*.deb: the binaries, their units, example configurations,
# man pages and completions.
set -euo pipefail
cd "$(dirname "$0")/.."
version=3.8.0

tools=target/tools
if ! [ -x $tools/bin/cargo-deb ]; then
  echo "installing cargo-deb $version into $tools"
  cargo install --quiet cargo-deb --version $version --locked --root $tools
fi
cargo build --release --locked --workspace --bin ditto-operator --bin ditto-aggregator
rm -rf target/package target/debian
mkdir -p target/package/man
for name in ditto-operator ditto-aggregator; do
  target/release/$name man target/package/man
  target/release/$name completions bash >target/package/$name.bash
  target/release/$name completions zsh >target/package/_$name
  target/release/$name completions fish >target/package/$name.fish
  $tools/bin/cargo-deb --no-build --no-strip --package $name --output target/debian/
  # What it asks of the machine beside its dependencies.
  echo "$name needs glibc $(objdump -T target/release/$name | grep -o 'GLIBC_[0-9.]*' | sort -Vu | tail -1 | cut -d_ -f2)"
done
ls -l target/debian
