#!/usr/bin/env bash
# Installs what a build needs beyond Rust, on a Debian-like machine: a C++ compiler, cmake and simde (the JavaScript engine),
# node and npm (Solidity dependencies, forge, anvil); and what `make test` checks units and documents with (systemd's tools,
# python). Does nothing, and says nothing, when all of it is there.
#
#   scripts/setup.sh [build]      build: only what compiling takes, as in packaging/Dockerfile
set -euo pipefail
root="$(cd "$(dirname "$0")/.." && pwd)"

packages=()
command -v cc >/dev/null || packages+=(gcc libc6-dev)
command -v c++ >/dev/null || packages+=(g++)
command -v make >/dev/null || packages+=(make)
command -v cmake >/dev/null || packages+=(cmake)
[ -e /usr/include/simde/check.h ] || packages+=(libsimde-dev)
if [ "${1:-}" != build ]; then
  # Debian's node comes without npm; others bring it along.
  command -v node >/dev/null || packages+=(nodejs)
  command -v npm >/dev/null || packages+=(npm)
  # Only its tools are used: no systemd has to run.
  command -v systemd-analyze >/dev/null || packages+=(systemd)
  command -v python3 >/dev/null || packages+=(python3)
fi

if [ "${#packages[@]}" -gt 0 ]; then
  as_root=()
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || {
      echo "scripts/setup.sh: missing: ${packages[*]}; install them as root (apt-get install ${packages[*]})" >&2
      exit 1
    }
    as_root=(sudo)
  fi
  echo "installing ${packages[*]}"
  log="$(mktemp)"
  install() {
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "${packages[@]}"
  }
  # The package lists of a fresh machine are empty, those of an old one stale: only then they are fetched.
  if ! install >"$log" 2>&1 && ! { "${as_root[@]}" apt-get update -qq && install; } >"$log" 2>&1; then
    cat "$log" >&2
    echo "scripts/setup.sh: could not install ${packages[*]}" >&2
    exit 1
  fi
  rm -f "$log"
fi

command -v cargo >/dev/null || {
  echo "scripts/setup.sh: cargo is missing; install Rust from https://rustup.rs" >&2
  exit 1
}

[ "${1:-}" != build ] || exit 0

# npm ci starts by deleting node_modules: only when the lock file is another than the one that was installed.
stamp="$root/node_modules/.installed-lock"
if ! cmp -s "$root/package-lock.json" "$stamp"; then
  echo "installing the Solidity tools (npm ci)"
  cd "$root"
  quiet=(--no-audit --no-fund --loglevel=error)
  # A lock file that was written where the registry has only this platform's packages is incomplete in npm ci's eyes.
  # npm install takes the same versions and checks the same hashes from it, and --no-save leaves the file as it is.
  npm ci "${quiet[@]}" </dev/null >/dev/null 2>&1 || npm install --no-save "${quiet[@]}" </dev/null
  cp "$root/package-lock.json" "$stamp"
fi

# The platform packages hold the binaries; a lock file written on another kind of machine may lack this one's.
for tool in anvil forge; do
  compgen -G "$root/node_modules/@foundry-rs/$tool-linux-*/bin/$tool" >/dev/null || {
    echo "scripts/setup.sh: npm ci installed no $tool for $(uname -m); see node_modules/@foundry-rs" >&2
    exit 1
  }
done
