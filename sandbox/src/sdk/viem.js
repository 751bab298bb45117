// The subset of viem that workflows may import, native underneath. Same names, arguments and results as viem 2.
import { native, toJson, fromJson, bytesToHex, hexOf, isHex, show } from "ditto:native";

export const zeroAddress = "0x0000000000000000000000000000000000000000";
export const zeroHash = "0x0000000000000000000000000000000000000000000000000000000000000000";
export const maxUint256 = 2n ** 256n - 1n;

// --- ABI ---------------------------------------------------------------------------------------------------------------

export function parseAbi(signatures) {
  return JSON.parse(native("op_parse_abi", JSON.stringify(signatures)));
}

export function parseAbiItem(signature) {
  return parseAbi(Array.isArray(signature) ? signature : [signature])[0];
}

export function parseAbiParameters(text) {
  return parseAbi([`function f(${Array.isArray(text) ? text.join(",") : text})`])[0].inputs;
}

/** The one function that name and arguments mean; overloads are told apart by the number of arguments. */
function functionOf(abi, name, count, caller) {
  const items = (Array.isArray(abi) ? abi : [abi]).filter((item) => item.type === "function");
  if (name === undefined) {
    if (items.length === 1) return items[0];
    throw new Error(`${caller}: functionName is missing, and the ABI has ${items.length} functions`);
  }
  const named = items.filter((item) => item.name === name || signatureOf(item) === name);
  if (named.length === 0) throw new Error(`${caller}: the ABI has no function "${name}"`);
  if (named.length === 1 || count === undefined) return named[0];
  const fitting = named.filter((item) => item.inputs.length === count);
  if (fitting.length !== 1) throw new Error(`${caller}: "${name}" is ambiguous; name it by its whole signature`);
  return fitting[0];
}

function typeOf(parameter) {
  if (!parameter.type.startsWith("tuple")) return parameter.type;
  return `(${parameter.components.map(typeOf).join(",")})${parameter.type.slice(5)}`;
}

function signatureOf(item) {
  return `${item.name}(${item.inputs.map(typeOf).join(",")})`;
}

export function encodeFunctionData({ abi, functionName, args = [] }) {
  const item = functionOf(abi, functionName, args.length, "encodeFunctionData");
  return native("op_encode_function", JSON.stringify(item), toJson(args));
}

export function decodeFunctionResult({ abi, functionName, args, data }) {
  const item = functionOf(abi, functionName, args?.length, "decodeFunctionResult");
  const values = fromJson(native("op_decode_params", JSON.stringify(item.outputs), hexOf(data, "data")));
  return values.length === 0 ? undefined : values.length === 1 ? values[0] : values;
}

export function decodeFunctionData({ abi, data }) {
  const text = hexOf(data, "data");
  for (const item of abi) {
    if (item.type !== "function") continue;
    if (toFunctionSelector(item) !== text.slice(0, 10).toLowerCase()) continue;
    const args = fromJson(native("op_decode_params", JSON.stringify(item.inputs), `0x${text.slice(10)}`));
    return { functionName: item.name, args: args.length === 0 ? undefined : args };
  }
  throw new Error(`decodeFunctionData: the ABI has no function with selector ${text.slice(0, 10)}`);
}

export function encodeAbiParameters(parameters, values) {
  return native("op_encode_params", JSON.stringify(parameters), toJson(values));
}

export function decodeAbiParameters(parameters, data) {
  return fromJson(native("op_decode_params", JSON.stringify(parameters), hexOf(data, "data")));
}

export function encodePacked(types, values) {
  return native("op_encode_packed", JSON.stringify(types), toJson(values));
}

export function toFunctionSelector(item) {
  const signature = typeof item === "string" ? item : signatureOf(item);
  return native("op_selector", signature);
}

// --- Bytes and numbers -------------------------------------------------------------------------------------------------

export function keccak256(value) {
  return native("op_keccak256", hexOf(value, "keccak256"));
}

export function size(value) {
  return isHex(value) ? Math.ceil((value.length - 2) / 2) : value.length;
}

export function numberToHex(value, { size: bytes, signed } = {}) {
  let number = BigInt(value);
  if (bytes !== undefined) {
    const bits = BigInt(bytes) * 8n;
    const [low, high] = signed ? [-(1n << (bits - 1n)), (1n << (bits - 1n)) - 1n] : [0n, (1n << bits) - 1n];
    if (number < low || number > high) throw new Error(`numberToHex: ${number} does not fit ${bytes} bytes`);
    if (number < 0n) number += 1n << bits;
    return pad(`0x${number.toString(16)}`, { size: bytes });
  }
  if (number < 0n) throw new Error("numberToHex: a negative number needs a size and signed: true");
  return `0x${number.toString(16)}`;
}

export function toHex(value, options = {}) {
  if (typeof value === "number" || typeof value === "bigint") return numberToHex(value, options);
  const fit = (hex) => (options.size === undefined ? hex : pad(hex, { size: options.size, dir: "right" }));
  if (typeof value === "boolean") {
    const hex = value ? "0x1" : "0x0";
    return options.size === undefined ? hex : pad(hex, { size: options.size });
  }
  if (typeof value === "string") return fit(native("op_utf8_to_hex", value));
  if (value instanceof Uint8Array) return fit(bytesToHex(value));
  throw new Error(`toHex: cannot convert ${show(value)}`);
}

export function hexToBigInt(hex, { signed, size: bytes } = {}) {
  const number = hex === "0x" ? 0n : BigInt(hexOf(hex, "hexToBigInt"));
  if (!signed) return number;
  const bits = BigInt(bytes ?? size(hex)) * 8n;
  return number >= 1n << (bits - 1n) ? number - (1n << bits) : number;
}

export function hexToNumber(hex, options) {
  return Number(hexToBigInt(hex, options));
}

export function hexToString(hex) {
  return native("op_hex_to_utf8", hexOf(hex, "hexToString"));
}

export function fromHex(hex, to) {
  const [kind, options] = typeof to === "string" ? [to, {}] : [to.to, to];
  if (kind === "bigint") return hexToBigInt(hex, options);
  if (kind === "number") return hexToNumber(hex, options);
  if (kind === "boolean") return hexToBigInt(hex) !== 0n;
  if (kind === "string") return hexToString(hex);
  if (kind === "bytes") {
    const text = hexOf(hex, "fromHex").slice(2);
    const even = text.length % 2 ? `0${text}` : text;
    return Uint8Array.from({ length: even.length / 2 }, (_, i) => parseInt(even.slice(2 * i, 2 * i + 2), 16));
  }
  throw new Error(`fromHex: unknown target ${show(kind)}`);
}

export function concat(values) {
  if (values.length > 0 && values[0] instanceof Uint8Array) {
    const out = new Uint8Array(values.reduce((sum, value) => sum + value.length, 0));
    let at = 0;
    for (const value of values) {
      out.set(value, at);
      at += value.length;
    }
    return out;
  }
  return `0x${values.map((value) => hexOf(value, "concat").slice(2)).join("")}`;
}

export function pad(value, { dir = "left", size: bytes = 32 } = {}) {
  if (value instanceof Uint8Array) {
    if (value.length > bytes) throw new Error(`pad: ${value.length} bytes exceed ${bytes}`);
    const out = new Uint8Array(bytes);
    out.set(value, dir === "right" ? 0 : bytes - value.length);
    return out;
  }
  const digits = hexOf(value, "pad").slice(2);
  if (digits.length > bytes * 2) throw new Error(`pad: ${Math.ceil(digits.length / 2)} bytes exceed ${bytes}`);
  return `0x${dir === "right" ? digits.padEnd(bytes * 2, "0") : digits.padStart(bytes * 2, "0")}`;
}

export function slice(value, start = 0, end) {
  const length = size(value);
  if (start > 0 && start > length - 1) throw new Error(`slice: offset ${start} is out of ${length} bytes`);
  if (value instanceof Uint8Array) return value.slice(start, end);
  const digits = hexOf(value, "slice").slice(2);
  return `0x${digits.slice(start * 2, end === undefined ? undefined : end * 2)}`;
}

// --- Units -------------------------------------------------------------------------------------------------------------

export function parseUnits(value, decimals) {
  if (!/^-?([0-9]+)\.?([0-9]*)$/.test(value)) throw new Error(`parseUnits: ${show(value)} is not a decimal number`);
  const negative = value.startsWith("-");
  let [whole, fraction = ""] = (negative ? value.slice(1) : value).split(".");
  fraction = fraction.replace(/0+$/, "");
  let result;
  if (fraction.length > decimals) {
    // Rounds half up, as viem does.
    result = BigInt(whole + fraction.slice(0, decimals)) + (fraction[decimals] >= "5" ? 1n : 0n);
  } else {
    result = BigInt(whole + fraction.padEnd(decimals, "0"));
  }
  return negative ? -result : result;
}

export function formatUnits(value, decimals) {
  let digits = value.toString();
  const negative = digits.startsWith("-");
  if (negative) digits = digits.slice(1);
  digits = digits.padStart(decimals, "0");
  const whole = digits.slice(0, digits.length - decimals);
  const fraction = digits.slice(digits.length - decimals).replace(/0+$/, "");
  return `${negative ? "-" : ""}${whole || "0"}${fraction ? `.${fraction}` : ""}`;
}

export function parseEther(value) {
  return parseUnits(value, 18);
}

export function formatEther(value) {
  return formatUnits(value, 18);
}

// --- Addresses ---------------------------------------------------------------------------------------------------------

export function isAddress(value, { strict = true } = {}) {
  if (typeof value !== "string" || !/^0x[0-9a-fA-F]{40}$/.test(value)) return false;
  return !strict || value.toLowerCase() === value || native("op_checksum", value) === value;
}

export function getAddress(value) {
  if (!isAddress(value, { strict: false })) throw new Error(`getAddress: ${show(value)} is not an address`);
  return native("op_checksum", value);
}

export function isAddressEqual(a, b) {
  return getAddress(a) === getAddress(b);
}
