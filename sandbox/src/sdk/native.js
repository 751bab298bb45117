// The native half of the SDK. Every op answers "=" and its result, or "!" and why not: one string crosses either way.
// Loaded before everything else; the global it reads is gone before any workflow runs.
const ops = globalThis.__ditto;

export const raw = ops;

export function native(name, ...operands) {
  const answer = ops[name](...operands);
  if (answer[0] === "!") throw new Error(answer.slice(1));
  return answer.slice(1);
}

const { stringify, parse } = JSON;
const { isArray } = Array;

/** JSON with bigints as decimal strings: what the native coder takes for any integer. */
export function toJson(value) {
  const text = stringify(value, (_, v) =>
    typeof v === "bigint" ? `${v}` : v instanceof Uint8Array ? bytesToHex(v) : v === undefined ? null : v);
  return text === undefined ? "null" : text;
}

/** Values from the native coder: "n12" is the bigint 12n, "sabc" the string abc. */
export function fromJson(text) {
  return revive(parse(text));
}

function revive(value) {
  if (typeof value === "string") return value[0] === "n" ? BigInt(value.slice(1)) : value.slice(1);
  if (isArray(value)) return value.map(revive);
  if (value !== null && typeof value === "object") {
    const out = {};
    for (const key of Object.keys(value)) out[key] = revive(value[key]);
    return out;
  }
  return value;
}

const DIGITS = [];
for (let i = 0; i < 256; i++) DIGITS.push((i < 16 ? "0" : "") + i.toString(16));

export function bytesToHex(bytes) {
  let text = "0x";
  for (let i = 0; i < bytes.length; i++) text += DIGITS[bytes[i]];
  return text;
}

export function isHex(value) {
  return typeof value === "string" && /^0x[0-9a-fA-F]*$/.test(value);
}

/** Hex in, hex out; byte arrays become hex. */
export function hexOf(value, what) {
  if (value instanceof Uint8Array) return bytesToHex(value);
  if (!isHex(value)) throw new Error(`${what}: expected 0x hex, got ${show(value)}`);
  return value;
}

/** A short text of any value, for messages. Never throws. */
export function show(value) {
  try {
    if (typeof value === "bigint") return `${value}n`;
    if (typeof value === "string") return value.length > 80 ? `"${value.slice(0, 77)}..."` : `"${value}"`;
    if (typeof value === "function") return "a function";
    if (typeof value === "symbol") return "a symbol";
    if (typeof value === "object" && value !== null) {
      const text = toJson(value);
      return text.length > 80 ? `${text.slice(0, 77)}...` : text;
    }
    return `${value}`;
  } catch {
    return "a value that cannot be shown";
  }
}
