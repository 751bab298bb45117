// ABI coding, selectors and typed data of the viem subset, native underneath. Results as viem 2 gives them.
import { native, toJson, fromJson, hexOf, show } from "ditto:native";
import { isAddress, keccak256, slice, toHex } from "ditto:bytes";

const { stringify, parse } = JSON;
const { isArray } = Array;
const { defineProperty, keys, values } = Object;

// --- Signatures --------------------------------------------------------------------------------------------------------

export function parseAbi(signatures) {
  return parse(native("op_parse_abi", stringify(signatures) ?? "null"));
}

export function parseAbiItem(signature) {
  // A struct is part of an ABI, not an item of it.
  const items = parseAbi(typeof signature === "string" ? [signature] : signature);
  if (items.length === 0) throw new Error(`parseAbiItem: ${show(signature)} has no item`);
  return items[0];
}

export function parseAbiParameters(parameters) {
  const lists = typeof parameters === "string" ? [parameters] : parameters;
  return parse(native("op_parse_parameters", stringify(lists) ?? "null"));
}

function typeOf(parameter) {
  if (!parameter.type.startsWith("tuple")) return parameter.type;
  return `(${(parameter.components ?? []).map(typeOf).join(",")})${parameter.type.slice(5)}`;
}

function signatureOf(item) {
  if (item.type !== "function" && item.type !== "event") throw new Error(`expected a function or an event, got ${show(item)}`);
  return `${item.name}(${(item.inputs ?? []).map(typeOf).join(",")})`;
}

/** `name(type,type)` of a signature with names, modifiers and results. Types stay as they are written. */
function normalized(text) {
  const [, name] = /^ *(?:(?:function|event) +)?([a-zA-Z$_][a-zA-Z0-9$_]*)\(/.exec(text) ?? [];
  if (name === undefined) throw new Error(`${show(text)} is not a signature`);
  let result = name;
  let depth = 0;
  // Of each parameter only what stands before the first space is its type.
  let word = "";
  let ended = false;
  for (let i = text.indexOf("("); i < text.length; i++) {
    const char = text[i];
    if (char === "(" || char === ")" || char === ",") {
      result += word + char;
      word = "";
      ended = false;
      depth += char === "(" ? 1 : char === ")" ? -1 : 0;
      if (depth === 0) return result;
    } else if (char === " ") {
      ended = ended || word !== "" || text[i - 1] === ")";
    } else if (!ended) {
      word += char;
    }
  }
  throw new Error(`${show(text)} is not a signature: its parentheses do not match`);
}

function signatureHash(item) {
  if (typeof item !== "string" && !item.inputs) throw new Error(`expected an ABI item with its inputs, got ${show(item)}`);
  return native("op_hash_text", typeof item === "string" ? normalized(item) : signatureOf(item));
}

/** Of a signature such as "transfer(address,uint256)", or of an ABI item. */
export function toFunctionSelector(item) {
  return slice(signatureHash(item), 0, 4);
}

export function toEventSelector(item) {
  return signatureHash(item);
}

// --- Choosing an item ----------------------------------------------------------------------------------------------------

/** Whether an argument may be meant for a parameter: tells overloads apart. */
function matches(arg, parameter) {
  const { type, components } = parameter;
  if (type === "address") return isAddress(arg, { strict: false });
  if (type === "bool") return typeof arg === "boolean";
  if (type === "function" || type === "string") return typeof arg === "string";
  if (type === "tuple" && components) {
    return components.every((component, i) => typeof arg === "object" && matches(values(arg)[i], component));
  }
  if (/^u?int[0-9]*$/.test(type)) return typeof arg === "number" || typeof arg === "bigint";
  if (/^bytes[0-9]*$/.test(type)) return typeof arg === "string" || arg instanceof Uint8Array;
  // The digits are viem's rule, which no type with a zero in it passes.
  if (/[a-z]+[1-9]{0,3}(\[[0-9]*\])+$/.test(type)) {
    const inner = { ...parameter, type: type.replace(/\[[0-9]*\]$/, "") };
    return isArray(arg) && arg.every((element) => matches(element, inner));
  }
  return false;
}

/** Two types of overloads that the same argument may mean. */
function ambiguous(inputs, others, args) {
  for (let i = 0; i < inputs.length; i++) {
    const [a, b] = [inputs[i], others[i]];
    if (a.type === "tuple" && b.type === "tuple" && a.components && b.components) {
      return ambiguous(a.components, b.components, args[i]);
    }
    const types = [a.type, b.type];
    if (!types.includes("address")) continue;
    if (types.includes("bytes20")) return types;
    if ((types.includes("string") || types.includes("bytes")) && isAddress(args[i], { strict: false })) return types;
  }
  return undefined;
}

/** The item that a name, or a selector, and arguments mean. */
function itemOf(abi, name, args = []) {
  const named = abi.filter((item) => {
    if (!name.startsWith("0x")) return item.name === name;
    return (item.type === "function" && toFunctionSelector(item) === name) || (item.type === "event" && toEventSelector(item) === name);
  });
  if (named.length < 2) return named[0];
  let chosen;
  for (const item of named) {
    if (!item.inputs) continue;
    if (args.length === 0 && item.inputs.length === 0) return item;
    if (args.length === 0 || item.inputs.length !== args.length) continue;
    if (!args.every((arg, i) => matches(arg, item.inputs[i]))) continue;
    const types = chosen && ambiguous(item.inputs, chosen.inputs, args);
    if (types) throw new Error(`"${name}" is ambiguous: ${types.join(" and ")} both fit`);
    chosen = item;
  }
  return chosen ?? named[0];
}

function functionOf(abi, name, args, caller) {
  if (!isArray(abi)) throw new Error(`${caller}: abi: expected an array, got ${show(abi)}`);
  if (!name && abi.length !== 1) throw new Error(`${caller}: functionName is missing, and the ABI has ${abi.length} items`);
  const item = name ? itemOf(abi, name, args) : abi[0];
  if (item?.type !== "function") throw new Error(`${caller}: the ABI has no function "${name ?? ""}"`);
  return item;
}

// --- Coding ------------------------------------------------------------------------------------------------------------

export function encodeFunctionData({ abi, functionName, args = [] }) {
  if (isArray(abi) && abi.length === 1 && functionName?.startsWith("0x")) {
    const { inputs } = abi[0];
    return `${functionName}${inputs ? encodeAbiParameters(inputs, args).slice(2) : ""}`;
  }
  const { name, inputs } = functionOf(abi, functionName, args, "encodeFunctionData");
  return native("op_encode_function", stringify({ name, inputs }), toJson(args));
}

export function decodeFunctionResult({ abi, functionName, args, data }) {
  const item = functionOf(abi, functionName, args, "decodeFunctionResult");
  if (!item.outputs) throw new Error(`decodeFunctionResult: the ABI does not say what "${item.name}" returns`);
  const results = decodeAbiParameters(item.outputs, data);
  return results.length > 1 ? results : results[0];
}

export function decodeFunctionData({ abi, data }) {
  const selector = slice(hexOf(data, "decodeFunctionData: data"), 0, 4);
  const item = abi.find((one) => one.type === "function" && toFunctionSelector(one) === selector);
  if (!item) throw new Error(`decodeFunctionData: the ABI has no function with selector ${selector}`);
  const args = item.inputs?.length > 0 ? decodeAbiParameters(item.inputs, slice(data, 4)) : undefined;
  return { functionName: item.name, args };
}

export function encodeAbiParameters(parameters, args) {
  return native("op_encode_params", stringify(parameters), toJson(args));
}

export function decodeAbiParameters(parameters, data) {
  return fromJson(native("op_decode_params", stringify(parameters), hexOf(data, "data")));
}

export function encodePacked(types, args) {
  return native("op_encode_packed", stringify(types), toJson(args));
}

// --- Events ------------------------------------------------------------------------------------------------------------

/** Types whose value a topic does not hold, only its hash. */
function hashed({ type }) {
  return type === "string" || type === "bytes" || type === "tuple" || /\[[0-9]*\]$/.test(type);
}

export function decodeEventLog({ abi, data, topics, strict = true }) {
  const [signature, ...rest] = topics;
  if (!signature) throw new Error("decodeEventLog: the log has no topics, so it names no event");
  const item = abi.find((one) => one.type === "event" && toEventSelector(one) === signature);
  if (!item) throw new Error(`decodeEventLog: the ABI has no event with topic ${signature}`);
  const { inputs } = item;
  const named = inputs.every((input) => input.name);
  // A name may be that of something inherited, so none is merely assigned.
  const args = named ? {} : [];
  const set = (i, value) => defineProperty(args, named ? inputs[i].name : i, { value, writable: true, enumerable: true, configurable: true });
  const missing = [];
  const plain = [];
  let next = 0;
  inputs.forEach((input, i) => {
    if (!input.indexed) return plain.push(i);
    const topic = rest[next++];
    if (topic) return set(i, hashed(input) ? topic : decodeAbiParameters([input], topic)[0]);
    if (strict) throw new Error(`decodeEventLog: ${item.name} has no topic for its indexed "${input.name ?? i}"`);
    missing.push(i);
  });
  const inData = [...missing, ...plain];
  if (inData.length > 0 && data && data !== "0x") {
    let decoded;
    try {
      decoded = decodeAbiParameters(inData.map((i) => inputs[i]), data);
    } catch (error) {
      if (strict) throw error;
    }
    decoded?.forEach((value, at) => set(inData[at], value));
  } else if (inData.length > 0 && strict) {
    throw new Error(`decodeEventLog: ${item.name} has values that are not indexed, and the log has no data`);
  }
  return { eventName: item.name, args: keys(args).length > 0 ? args : undefined };
}

/** The filter that an event and the wanted values of its indexed arguments make: per topic a list of alternatives. */
export function topicsOf(event, wanted) {
  const topics = [[toEventSelector(event)]];
  if (wanted === undefined || wanted === null) return topics;
  const indexed = (event.inputs ?? []).filter((input) => input.indexed);
  if (!isArray(wanted)) {
    for (const key of keys(wanted)) {
      if (!indexed.some((input) => input.name === key)) throw new Error(`${event.name} has no indexed argument "${key}"`);
    }
  }
  indexed.forEach((input, i) => {
    const value = isArray(wanted) ? wanted[i] : wanted[input.name];
    if (value === undefined || value === null) return topics.push([]);
    const one = (v) => {
      if (input.type === "string" || input.type === "bytes") return keccak256(input.type === "string" ? toHex(`${v}`) : v);
      if (hashed(input)) throw new Error(`${event.name}.${input.name ?? i}: logs cannot be filtered by a ${input.type}`);
      return encodeAbiParameters([input], [v]);
    };
    topics.push(isArray(value) ? value.map(one) : [one(value)]);
  });
  while (topics.at(-1).length === 0) topics.pop();
  return topics;
}

// --- Typed data --------------------------------------------------------------------------------------------------------

export function hashTypedData({ domain = {}, types, primaryType, message }) {
  // The domain's type is what the domain has, in the order of EIP-712, unless the types say otherwise.
  const fields = [
    typeof domain.name === "string" && { name: "name", type: "string" },
    domain.version && { name: "version", type: "string" },
    (typeof domain.chainId === "number" || typeof domain.chainId === "bigint") && { name: "chainId", type: "uint256" },
    domain.verifyingContract && { name: "verifyingContract", type: "address" },
    domain.salt && { name: "salt", type: "bytes32" },
  ];
  const all = { EIP712Domain: fields.filter((field) => field), ...types };
  return native("op_hash_typed_data", toJson({ types: all, primaryType, domain, message }));
}
