// Bytes, numbers, units and addresses of the viem subset. Results as viem 2 gives them; what viem would encode into
// nonsense (text that is no hex, say) is an error here.
import { native, bytesToHex, hexOf, isHex, show } from "ditto:native";

const { isInteger, isSafeInteger, MAX_SAFE_INTEGER } = Number;

export const zeroAddress = "0x0000000000000000000000000000000000000000";
export const zeroHash = "0x0000000000000000000000000000000000000000000000000000000000000000";
export const maxUint256 = 2n ** 256n - 1n;

// --- Bytes -------------------------------------------------------------------------------------------------------------

export function keccak256(value, to) {
  const hash = native("op_keccak256", hexOf(value, "keccak256"));
  return to === "bytes" ? hexToBytes(hash) : hash;
}

export function size(value) {
  return typeof value === "string" && value.startsWith("0x") ? Math.ceil((value.length - 2) / 2) : value.length;
}

function fits(value, limit, what) {
  if (size(value) > limit) throw new Error(`${what}: ${size(value)} bytes exceed ${limit}`);
  return value;
}

export function concat(values) {
  if (typeof values[0] === "string") return `0x${values.map((value) => hexOf(value, "concat").slice(2)).join("")}`;
  const out = new Uint8Array(values.reduce((sum, value) => sum + value.length, 0));
  let at = 0;
  for (const value of values) {
    if (!(value instanceof Uint8Array)) throw new Error(`concat: expected bytes, got ${show(value)}`);
    out.set(value, at);
    at += value.length;
  }
  return out;
}

export function pad(value, { dir, size: bytes = 32 } = {}) {
  if (bytes === null) return value;
  if (value instanceof Uint8Array) {
    fits(value, bytes, "pad");
    const out = new Uint8Array(bytes);
    out.set(value, dir === "right" ? 0 : bytes - value.length);
    return out;
  }
  const digits = fits(hexOf(value, "pad"), bytes, "pad").slice(2);
  return `0x${dir === "right" ? digits.padEnd(bytes * 2, "0") : digits.padStart(bytes * 2, "0")}`;
}

export function slice(value, start, end, { strict } = {}) {
  const length = size(value);
  if (typeof start === "number" && start > 0 && start > length - 1) {
    throw new Error(`slice: offset ${start} is out of ${length} bytes`);
  }
  const part = value instanceof Uint8Array
    ? value.slice(start, end)
    : `0x${hexOf(value, "slice").slice(2).slice((start ?? 0) * 2, end === undefined ? undefined : end * 2)}`;
  if (strict && typeof start === "number" && typeof end === "number" && size(part) !== end - start) {
    throw new Error(`slice: offset ${end} is out of ${length} bytes`);
  }
  return part;
}

function hexToBytes(hex) {
  const text = hexOf(hex, "fromHex").slice(2);
  const even = text.length % 2 ? `0${text}` : text;
  return Uint8Array.from({ length: even.length / 2 }, (_, i) => parseInt(even.slice(2 * i, 2 * i + 2), 16));
}

// --- Numbers and texts ---------------------------------------------------------------------------------------------------

export function numberToHex(value, { size: bytes, signed } = {}) {
  const number = BigInt(value);
  const bits = bytes ? BigInt(bytes) * 8n : undefined;
  let max;
  if (bits !== undefined) max = (1n << (signed ? bits - 1n : bits)) - 1n;
  else if (typeof value === "number") max = BigInt(MAX_SAFE_INTEGER);
  const min = signed && bits !== undefined ? -max - 1n : 0n;
  if ((max !== undefined && number > max) || number < min) {
    const range = max === undefined ? `at least ${min}` : `from ${min} to ${max}`;
    throw new Error(`numberToHex: ${number} is not ${range}${min === 0n ? " (a negative number needs a size and signed: true)" : ""}`);
  }
  const digits = (number < 0n ? number + (1n << bits) : number).toString(16);
  return `0x${bytes ? digits.padStart(bytes * 2, "0") : digits}`;
}

export function toHex(value, options = {}) {
  if (typeof value === "number" || typeof value === "bigint") return numberToHex(value, options);
  const sized = typeof options.size === "number";
  const fit = (hex, dir) => (sized ? pad(fits(hex, options.size, "toHex"), { size: options.size, dir }) : hex);
  if (typeof value === "boolean") return fit(value ? "0x1" : "0x0");
  if (typeof value === "string") return fit(native("op_utf8_to_hex", value.toWellFormed()), "right");
  if (value instanceof Uint8Array) return fit(bytesToHex(value), "right");
  throw new Error(`toHex: cannot convert ${show(value)}`);
}

export function hexToBigInt(hex, { signed, size: bytes } = {}) {
  hexOf(hex, "hexToBigInt");
  if (hex === "0x") throw new Error("hexToBigInt: 0x is no number");
  if (bytes) fits(hex, bytes, "hexToBigInt");
  const number = BigInt(hex);
  if (!signed) return number;
  const bits = BigInt(size(hex)) * 8n;
  return number >= 1n << (bits - 1n) ? number - (1n << bits) : number;
}

export function hexToNumber(hex, options) {
  const number = Number(hexToBigInt(hex, options));
  if (!isSafeInteger(number)) throw new Error(`hexToNumber: ${hex} is beyond the integers that a number holds exactly`);
  return number;
}

function hexToBool(hex, bytes) {
  hexOf(hex, "fromHex");
  if (bytes) fits(hex, bytes, "fromHex");
  if (/^0x0+$/.test(hex)) return false;
  if (/^0x0*1$/.test(hex)) return true;
  throw new Error(`fromHex: ${show(hex)} is not a boolean`);
}

export function hexToString(hex, { size: bytes } = {}) {
  let text = hexOf(hex, "hexToString");
  if (bytes) {
    fits(text, bytes, "hexToString");
    if (text.length % 2) text = `0x0${text.slice(2)}`;
    // Trailing zero bytes are padding, but one byte stays.
    while (text.length > 4 && text.endsWith("00")) text = text.slice(0, -2);
  }
  return native("op_hex_to_utf8", text);
}

export function fromHex(hex, to) {
  const options = typeof to === "string" ? { to } : to;
  if (options.to === "bigint") return hexToBigInt(hex, options);
  if (options.to === "number") return hexToNumber(hex, options);
  if (options.to === "boolean") return hexToBool(hex, options.size);
  if (options.to === "string") return hexToString(hex, options);
  if (options.to === "bytes") {
    if (!options.size) return hexToBytes(hex);
    return hexToBytes(pad(fits(hexOf(hex, "fromHex"), options.size, "fromHex"), { dir: "right", size: options.size }));
  }
  throw new Error(`fromHex: unknown target ${show(options.to)}`);
}

// --- Units -------------------------------------------------------------------------------------------------------------

function placesOf(decimals) {
  if (!isInteger(decimals) || decimals < 0) throw new Error(`${show(decimals)} is not a number of decimals`);
  return decimals;
}

export function parseUnits(value, decimals = 0) {
  if (typeof value !== "string" || !/^-?(?:[0-9]+\.?[0-9]*|\.[0-9]+)$/.test(value)) {
    throw new Error(`parseUnits: ${show(value)} is not a decimal number`);
  }
  const negative = value.startsWith("-");
  const [whole, fraction = ""] = (negative ? value.slice(1) : value).split(".");
  const kept = fraction.slice(0, placesOf(decimals)).padEnd(decimals, "0");
  // Rounds half away from zero.
  const units = BigInt(whole + kept) + (fraction[decimals] >= "5" ? 1n : 0n);
  return negative ? -units : units;
}

export function formatUnits(value, decimals = 0) {
  let digits = value.toString();
  const negative = digits.startsWith("-");
  if (negative) digits = digits.slice(1);
  digits = digits.padStart(placesOf(decimals), "0");
  const whole = digits.slice(0, digits.length - decimals);
  const fraction = digits.slice(digits.length - decimals).replace(/0+$/, "");
  return `${negative ? "-" : ""}${whole || "0"}${fraction ? `.${fraction}` : ""}`;
}

function etherDecimals(unit) {
  if (unit === "wei") return 18;
  if (unit === "gwei") return 9;
  throw new Error(`${show(unit)} is not a unit: "wei" or "gwei"`);
}

export function parseEther(value, unit = "wei") {
  return parseUnits(value, etherDecimals(unit));
}

export function formatEther(value, unit = "wei") {
  return formatUnits(value, etherDecimals(unit));
}

// --- Addresses ---------------------------------------------------------------------------------------------------------

function isAccount(value) {
  return typeof value === "string" && /^0x[0-9a-fA-F]{40}$/.test(value);
}

export function isAddress(value, { strict = true } = {}) {
  if (!isAccount(value)) return false;
  return !strict || value.toLowerCase() === value || native("op_checksum", value, "") === value;
}

export function getAddress(value, chainId) {
  if (!isAccount(value)) throw new Error(`getAddress: ${show(value)} is not an address`);
  return native("op_checksum", value, chainId ? `${chainId}` : "");
}

export function isAddressEqual(a, b) {
  for (const value of [a, b]) if (!isAccount(value)) throw new Error(`isAddressEqual: ${show(value)} is not an address`);
  return a.toLowerCase() === b.toLowerCase();
}

export function getContractAddress(request) {
  const from = getAddress(request.from);
  if (request.opcode !== "CREATE2") {
    const { nonce } = request;
    if (typeof nonce !== "number" && typeof nonce !== "bigint") throw new Error(`getContractAddress: nonce: ${show(nonce)} is not a number`);
    return native("op_create_address", from, `${BigInt(nonce)}`);
  }
  const { salt } = request;
  const text = salt instanceof Uint8Array ? bytesToHex(salt) : isHex(salt) ? salt : toHex(`${salt}`);
  const hash = "bytecodeHash" in request ? hexOf(request.bytecodeHash, "getContractAddress: bytecodeHash") : keccak256(request.bytecode);
  return native("op_create2_address", from, pad(text), hash);
}
