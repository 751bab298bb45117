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
const { isInteger, isSafeInteger } = Number;

/** JSON for the native coder, which must tell a bigint from a string: a string that begins with NUL is tagged. */
export function toJson(value) {
  return stringify(value, tagged);
}

function tagged(_, v) {
  if (typeof v === "bigint") return `\0n${v}`;
  if (typeof v === "string") return v[0] === "\0" ? `\0s${v}` : v.isWellFormed() ? v : v.toWellFormed();
  // The coder's JSON knows no exponents; JavaScript writes one from 10^21 on.
  if (typeof v === "number") return isSafeInteger(v) || !isInteger(v) ? v : `\0n${BigInt(v)}`;
  return v === undefined ? null : v;
}

/** Values from the native coder: "n12" is the bigint 12n, "sabc" the string abc. */
export function fromJson(text) {
  return revive(parse(text));
}

function revive(value) {
  if (typeof value === "string") return value[0] === "n" ? BigInt(value.slice(1)) : value.slice(1);
  // In place: the object's own properties are there already, so none is taken for an inherited one.
  if (isArray(value)) for (let i = 0; i < value.length; i++) value[i] = revive(value[i]);
  else if (value !== null && typeof value === "object") for (const key of Object.keys(value)) value[key] = revive(value[key]);
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

function plain(_, v) {
  return typeof v === "bigint" ? `${v}` : v instanceof Uint8Array ? bytesToHex(v) : v === undefined ? null : v;
}

/** A short text of any value, for messages. Never throws. */
export function show(value) {
  try {
    if (typeof value === "bigint") return `${value}n`;
    if (typeof value === "string") return value.length > 80 ? `"${value.slice(0, 77)}..."` : `"${value}"`;
    if (typeof value === "function") return "a function";
    if (typeof value === "symbol") return "a symbol";
    if (typeof value === "object" && value !== null) {
      const text = stringify(value, plain) ?? "null";
      return text.length > 80 ? `${text.slice(0, 77)}...` : text;
    }
    return `${value}`;
  } catch {
    return "a value that cannot be shown";
  }
}
