#!/usr/bin/env bash
# Builds target/debian/ditto-operator_*.deb and ditto-aggregator_*.deb: the binaries, their units, example configurations,
# documents, man pages and completions, the notices of other people's crates, and the list of these (CycloneDX), which is also
# put beside each package. packaging/test.sh tries them.
set -euo pipefail
cd "$(dirname "$0")/.."
# The oldest C library that the binaries may ask for: Debian 12 has 2.36, Ubuntu 24.04 has 2.39. docs/operators-guide.md says so.
glibc=2.36
target=x86_64-unknown-linux-gnu

scripts/tools.sh cargo-deb cargo-about cargo-cyclonedx
tools=target/tools/bin
cargo build --release --locked --workspace --bin ditto-operator --bin ditto-aggregator
rm -rf target/package target/debian
mkdir -p target/package/man target/debian

# Equal sources make an equal list. It is written beside each Cargo.toml; whose directory this is, is nobody's business.
trap 'rm -f ./*.ditto-sbom.json */*.ditto-sbom.json' EXIT
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct 2>/dev/null || echo 0) $tools/cargo-cyclonedx cyclonedx --quiet --format json --spec-version 1.5 \
  --no-build-deps --target $target --override-filename bill.ditto-sbom
for name in ditto-operator ditto-aggregator; do
  directory=.
  [ $name = ditto-operator ] || directory=${name#ditto-}
  sed "s|file://$PWD|file://|g" $directory/bill.ditto-sbom.json >target/package/$name.cdx.json
  # A minute of comparing texts, so kept for as long as the crates are the same. Offline: not what a service on the web says
  # about a crate, but what is in it.
  notices=target/notices/$(cat Cargo.lock packaging/about.toml packaging/third-party.hbs | sha256sum | cut -c1-16)-$name.txt
  if ! [ -s "$notices" ]; then
    mkdir -p target/notices
    $tools/cargo-about generate --locked --offline --fail --config packaging/about.toml --manifest-path $directory/Cargo.toml \
      --output-file "$notices.new" packaging/third-party.hbs
    mv "$notices.new" "$notices"
  fi
  cp "$notices" target/package/$name.third-party.txt
  gzip -9nk target/package/$name.cdx.json target/package/$name.third-party.txt
  target/release/$name man target/package/man
  for shell in bash:$name.bash zsh:_$name fish:$name.fish; do
    target/release/$name completions "${shell%%:*}" >"target/package/${shell#*:}"
  done
done

for name in ditto-operator ditto-aggregator; do
  # What it asks of the machine beside its dependencies.
  needs=$(objdump -T target/release/$name | grep -o 'GLIBC_[0-9.]*' | cut -d_ -f2 | sort -Vu | tail -1)
  if [ "$(printf '%s\n' "$needs" $glibc | sort -V | tail -1)" != $glibc ]; then
    echo "scripts/deb.sh: $name needs glibc $needs, and $glibc is promised: build it on Debian 12" >&2
    exit 1
  fi
  echo "$name needs glibc $needs"
  $tools/cargo-deb --no-build --no-strip --package $name --output target/debian/
  package=$(basename target/debian/${name}_*.deb .deb)
  cp target/package/$name.cdx.json "target/debian/$package.cdx.json"
done
ls -l target/debian
