// Runs every case with the real viem and writes what it gave to ../table.json. `npm ci && npm run generate`.
//
// A row is { code, result } or { code, throws: true }. `stricter` marks the few where the sandbox throws although viem
// gives something, and says why: viem's result is nonsense that would end up in a transaction.
import { writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import * as viem from "viem";

import { cases } from "./cases.js";
import { encode } from "./encode.js";

const names = Object.keys(viem);
const run = (code) => new Function(...names, `"use strict"; return (${code});`)(...names.map((name) => viem[name]));

const rows = [];
const seen = new Set();
let throwing = 0;
for (const { code, stricter } of cases()) {
  if (seen.has(code)) continue;
  seen.add(code);
  const row = { code };
  try {
    row.result = encode(run(code));
  } catch (error) {
    if (error instanceof SyntaxError && !/BigInt/.test(error.message)) throw new Error(`not JavaScript: ${code}: ${error}`);
    if (error instanceof ReferenceError) throw new Error(`${code}: ${error}`);
    row.throws = true;
    throwing += 1;
    if (stricter) throw new Error(`viem throws as well: ${code}`);
  }
  if (stricter) row.stricter = stricter;
  rows.push(row);
}
const { version } = createRequire(import.meta.url)("./node_modules/viem/package.json");
const lines = rows.map((row) => `    ${JSON.stringify(row)}`).join(",\n");
writeFileSync(new URL("../table.json", import.meta.url), `{\n  "viem": "${version}",\n  "rows": [\n${lines}\n  ]\n}\n`);
console.log(`${rows.length} rows of viem ${version}, ${throwing} of them throw, ${rows.filter((row) => row.stricter).length} are stricter here`);
