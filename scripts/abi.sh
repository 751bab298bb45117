#!/usr/bin/env bash
# Builds contracts/ and writes abi/<Contract>.json: {contractName, abi, bytecode, deployedBytecode}.
#   scripts/abi.sh          write the artifacts
#   scripts/abi.sh --check  rebuild and fail when what is checked in differs by a byte
# Needs node and `npm ci` in the repository's root.
set -euo pipefail
root="$(cd "$(dirname "$0")/.." && pwd)"
if [ ! -d "$root/node_modules/solc" ]; then
  echo "scripts/abi.sh: dependencies are missing; run 'npm ci' in $root" >&2
  exit 2
fi
cd "$root/contracts"
node ../node_modules/@foundry-rs/forge/bin.mjs build --skip test --silent
exec node - "$root" "${1:-}" <<'NODE'
"use strict";
const fs = require("fs");
const path = require("path");
const [root, mode] = process.argv.slice(2);
if (mode !== "" && mode !== "--check") {
  console.error(`scripts/abi.sh: unknown option ${mode}; the only one is --check`);
  process.exit(2);
}
const contracts = [
  "AttestationCenter", "OBLS", "DittoHook", "DittoValidatorModule", "WorkflowRegistry",
  "DittoAccount", "DittoAccountFactory", "CallMeter", "DryRun",
  "OccurrenceCounter", "DemoToken", "DemoOracle", "DemoVault", "Mischief",
];

const artifacts = new Map();
for (const name of contracts) {
  const built = JSON.parse(fs.readFileSync(path.join(root, "contracts", "out", `${name}.sol`, `${name}.json`), "utf8"));
  artifacts.set(name, {
    contractName: name,
    abi: built.abi,
    bytecode: built.bytecode.object,
    deployedBytecode: built.deployedBytecode.object,
  });
}

// EntryPoint v0.7 as published on npm: its bytecode through the CREATE2 deployer with this salt lands on the canonical address.
const { keccak256, getCreate2Address } = require(path.join(root, "node_modules", "ethers"));
const entryPoint = require(path.join(root, "node_modules", "@account-abstraction/contracts/artifacts/EntryPoint.json"));
const create2 = {
  deployer: "0x4e59b44847b379578588920cA78FbF26c0B4956C",
  salt: "0x90d8084deab30c2a37c45e8d47f49f2f7965183cb6990a98943ef94940681de3",
  address: "0x0000000071727De22E5E9d8BAf0edAc6f37da032",
};
if (getCreate2Address(create2.deployer, create2.salt, keccak256(entryPoint.bytecode)) !== create2.address) {
  console.error("scripts/abi.sh: the EntryPoint of npm does not deploy to its canonical address; is @account-abstraction/contracts 0.7.0 installed?");
  process.exit(1);
}
artifacts.set("EntryPoint", {
  contractName: "EntryPoint",
  abi: entryPoint.abi,
  bytecode: entryPoint.bytecode,
  deployedBytecode: entryPoint.deployedBytecode,
  create2,
});

const folder = path.join(root, "abi");
fs.mkdirSync(folder, { recursive: true });
const wrong = [];
for (const [name, artifact] of artifacts) {
  const file = path.join(folder, `${name}.json`);
  const text = JSON.stringify(artifact, null, 1) + "\n";
  const old = fs.existsSync(file) ? fs.readFileSync(file, "utf8") : "";
  if (old === text) continue;
  if (mode === "--check") wrong.push(`abi/${name}.json`);
  else fs.writeFileSync(file, text);
}
for (const file of fs.readdirSync(folder)) {
  if (file.endsWith(".json") && !artifacts.has(file.slice(0, -5))) wrong.push(`abi/${file} (built by nothing)`);
}
if (wrong.length > 0) {
  console.error(`stale artifacts, run scripts/abi.sh and commit: ${wrong.join(", ")}`);
  process.exit(1);
}
console.log(`abi/: ${artifacts.size} artifacts ${mode === "--check" ? "are fresh" : "written"}`);
NODE
