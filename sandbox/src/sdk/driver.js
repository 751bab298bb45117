// Makes `ctx`, runs the workflow, checks what it returned. Everything in here is out of a workflow's reach, except `ctx`.
import { raw, isHex, show, toJson } from "ditto:native";
import { encodeFunctionData, decodeFunctionResult, decodeAbiParameters, decodeEventLog, topicsOf } from "ditto:abi";
import { getAddress, isAddress } from "ditto:bytes";

const { freeze, isFrozen, keys, defineProperty, getOwnPropertyDescriptor } = Object;
const { isArray } = Array;
const { parse, stringify } = JSON;
const { construct } = Reflect;
const { imul } = Math;

let ctx;
/** Unanswered reads: [resolve, reject, how to make the value, the error to throw should the call revert]. */
const pending = new Map();

// --- Time and chance, fixed by the input --------------------------------------------------------------------------------

/** Set when the run begins. Before, a template may be evaluating the module for all its runs: what belongs to one run ends that. */
let begun = false;
function ofTheRun() {
  if (!begun) raw.op_of_the_run();
}

let now = 0;
const RealDate = Date;
function FixedDate(...operands) {
  if (new.target === undefined || operands.length === 0) ofTheRun();
  if (new.target === undefined) return new RealDate(now).toString();
  return construct(RealDate, operands.length === 0 ? [now] : operands, new.target);
}
// The one property that would lead back to the real clock is its prototype's constructor.
defineProperty(FixedDate, "prototype", { value: RealDate.prototype, writable: false });
defineProperty(RealDate.prototype, "constructor", { value: FixedDate, writable: true, configurable: true });
defineProperty(FixedDate, "name", { value: "Date", configurable: true });
defineProperty(FixedDate, "length", { value: 7, configurable: true });
for (const name of ["UTC", "parse"]) defineProperty(FixedDate, name, getOwnPropertyDescriptor(RealDate, name));
defineProperty(FixedDate, "now", { value: { now: () => (ofTheRun(), now) }.now, writable: true, configurable: true });
globalThis.Date = FixedDate;

// xoshiro128**, on 32-bit integers only, so that it gives the same bits everywhere.
let [s0, s1, s2, s3] = [1, 2, 3, 4];
function next32() {
  ofTheRun();
  const t5 = imul(s1, 5);
  const result = imul((t5 << 7) | (t5 >>> 25), 9) >>> 0;
  const t = s1 << 9;
  s2 ^= s0;
  s3 ^= s1;
  s1 ^= s2;
  s0 ^= s3;
  s2 ^= t;
  s3 = (s3 << 11) | (s3 >>> 21);
  return result;
}
/** Murmur3's finalizer: spreads the seed over the state. */
function mix(word) {
  let h = word | 0;
  h = imul(h ^ (h >>> 16), 0x85ebca6b);
  h = imul(h ^ (h >>> 13), 0xc2b2ae35);
  return h ^ (h >>> 16);
}
defineProperty(Math, "random", {
  value: { random: () => ((next32() >>> 5) * 67108864 + (next32() >>> 6)) / 9007199254740992 }.random,
  writable: true,
  configurable: true,
});

// --- Logging --------------------------------------------------------------------------------------------------------------

function log(...values) {
  raw.op_log(values.map((value) => (typeof value === "string" ? value : show(value))).join(" "));
}
globalThis.console = freeze({ log, info: log, warn: log, error: log, debug: log });

// --- Reads ----------------------------------------------------------------------------------------------------------------

function request(chain, method, params, make) {
  return new Promise((resolve, reject) => {
    // Made here, so that whatever is wrong with the answer points at the line that asked.
    const failure = new Error();
    pending.set(raw.op_chain_read(chain, method, params), [resolve, reject, make, failure]);
  });
}

/** Called by the host's answer, in the order of the requests. Kind 0 is a JSON result, 1 is revert data. */
export function answer(id, kind, text) {
  const [resolve, reject, make, failure] = pending.get(id);
  pending.delete(id);
  try {
    if (kind === 0) return resolve(make(parse(text)));
    failure.name = "CallReverted";
    failure.message = `the call reverted: ${reason(text)}`;
    failure.data = text;
  } catch (error) {
    failure.name = error.name;
    failure.message = error.message;
  }
  reject(failure);
}

/** An answer that says no, alike for everybody. */
function refused(message) {
  const error = new Error(message);
  error.name = "ReadRefused";
  throw error;
}

/** What a revert says: Error(string), Panic(uint256), or the raw data. */
function reason(data) {
  try {
    if (data.startsWith("0x08c379a0")) return decodeAbiParameters([{ type: "string" }], `0x${data.slice(10)}`)[0];
    if (data.startsWith("0x4e487b71")) return `panic ${decodeAbiParameters([{ type: "uint256" }], `0x${data.slice(10)}`)[0]}`;
  } catch {
    // Not what its selector says: shown as it is.
  }
  return data === "0x" ? "no data" : data.length > 138 ? `${data.slice(0, 138)}...` : data;
}

function addressOf(value, field) {
  if (!isAddress(value, { strict: false })) throw new TypeError(`${field}: ${show(value)} is not an address`);
  return value.toLowerCase();
}

function dataOf(value, field) {
  if (!isHex(value) || value.length % 2) throw new TypeError(`${field}: ${show(value)} is not 0x hex of whole bytes`);
  return value.toLowerCase();
}

function chainOf(id, supported) {
  const number = typeof id === "bigint" || typeof id === "number" ? `${id}` : show(id);
  if (!/^[0-9]{1,20}$/.test(number)) throw new TypeError(`ctx.chain: ${show(id)} is not a chain id`);
  if (!supported.has(number)) raw.op_end("unsupported_chain", number);
  const call = (to, data, make) => request(number, "eth_call", `[{"to":"${to}","data":"${data}"}]`, make);
  const chain = freeze({
    id: BigInt(number),
    async readContract({ address, abi, functionName, args }) {
      const to = addressOf(address, "readContract: address");
      const data = encodeFunctionData({ abi, functionName, args });
      return call(to, data, (result) => decodeFunctionResult({ abi, functionName, args, data: result }));
    },
    async call({ to, data = "0x" }) {
      return call(addressOf(to, "call: to"), dataOf(data, "call: data"), (result) => ({ data: result }));
    },
    async getBalance(where) {
      const address = addressOf(where?.address ?? where, "getBalance: address");
      return request(number, "eth_getBalance", `["${address}"]`, (result) => BigInt(result));
    },
    async getCode(where) {
      const address = addressOf(where?.address ?? where, "getCode: address");
      return request(number, "eth_getCode", `["${address}"]`, (result) => (result === "0x" ? undefined : result));
    },
    async getStorageAt({ address, slot }) {
      const at = addressOf(address, "getStorageAt: address");
      const place = typeof slot === "string" ? BigInt(slot) : slot;
      if (typeof place !== "bigint" || place < 0n || place >= 1n << 256n) {
        throw new TypeError(`getStorageAt: slot: ${show(slot)} is not a storage slot`);
      }
      return request(number, "eth_getStorageAt", `["${at}","0x${place.toString(16)}"]`, (result) => result);
    },
    async getBlockNumber() {
      return request(number, "eth_blockNumber", "[]", (result) => BigInt(result));
    },
    async getBlock({ blockNumber } = {}) {
      const params = blockNumber === undefined ? "[]" : `["${blockOf(blockNumber, "getBlock: blockNumber")}"]`;
      return request(number, "eth_getBlockByNumber", params, (result) => {
        if (result === null) refused(`getBlock: block ${blockNumber} is beyond the block that this slot reads at`);
        return blockFrom(result);
      });
    },
    async getLogs(filter) {
      const { params, take } = logFilter(filter);
      return request(number, "eth_getLogs", params, (result) => {
        if (result === null) {
          refused("getLogs: the blocks end beyond the one that this slot reads at, begin after their end, or are too many for one read");
        }
        return take(result);
      });
    },
    async readContracts(requests) {
      return Promise.all(requests.map((one) => chain.readContract(one)));
    },
  });
  return chain;
}

/** A block number as the reads write it. */
function blockOf(value, field) {
  if (typeof value === "number" ? Number.isSafeInteger(value) && value >= 0 : typeof value === "bigint" && value >= 0n && value < 1n << 64n) {
    return `0x${value.toString(16)}`;
  }
  throw new TypeError(`${field}: ${show(value)} is not a block number`);
}

function blockFrom({ number, hash, parentHash, timestamp, gasLimit, gasUsed, baseFeePerGas, miner, mixHash }) {
  return {
    number: BigInt(number),
    hash,
    parentHash,
    timestamp: BigInt(timestamp),
    gasLimit: BigInt(gasLimit),
    gasUsed: BigInt(gasUsed),
    baseFeePerGas: baseFeePerGas === null ? null : BigInt(baseFeePerGas),
    miner: getAddress(miner),
    mixHash,
  };
}

/** The parameters of eth_getLogs, and what makes the result of them. */
function logFilter(filter) {
  const { address, event, events, args, fromBlock, toBlock } = filter ?? {};
  const addresses = isArray(address) ? address : [address];
  if (addresses.length < 1 || addresses.length > 16) throw new TypeError("getLogs: address: expected 1 to 16 addresses");
  const from = addresses.map((one) => `"${addressOf(one, "getLogs: address")}"`).join(",");
  const items = events ?? (event === undefined ? [] : [event]);
  for (const item of items) if (item?.type !== "event") throw new TypeError(`getLogs: ${show(item)} is not an ABI event`);
  if (args !== undefined && items.length !== 1) throw new TypeError("getLogs: args need the one event that they belong to");
  const topics = items.length === 1 ? topicsOf(items[0], args) : items.length === 0 ? [] : [items.map((item) => topicsOf(item)[0][0])];
  for (const topic of topics) if (topic.length > 16) throw new TypeError("getLogs: expected at most 16 values for one topic");
  const block = (name, value) => (value === undefined ? "" : `,"${name}":"${blockOf(value, `getLogs: ${name}`)}"`);
  return {
    params: `[{"address":[${from}],"topics":${stringify(topics)}${block("fromBlock", fromBlock)}${block("toBlock", toBlock)}}]`,
    take: (logs) => logs.flatMap((log) => {
      const plain = {
        address: getAddress(log.address),
        topics: log.topics,
        data: log.data,
        blockNumber: BigInt(log.blockNumber),
        blockHash: log.blockHash,
        transactionHash: log.transactionHash,
        logIndex: Number(log.logIndex),
      };
      if (items.length === 0) return [plain];
      try {
        return [{ ...plain, ...decodeEventLog({ abi: items, data: log.data, topics: log.topics }) }];
      } catch {
        // The same signature with other indexed arguments: another event, which nobody asked for.
        return [];
      }
    }),
  };
}

// --- The run --------------------------------------------------------------------------------------------------------------

/**
 * Fixes time and chance and makes `ctx`, before anything of the workflow that depends on them. Operand by
 * operand, `w0` to `w7` being the seed in 32-bit words: to parse one object would cost every run more.
 */
export function prepare(workflow, occurrence, account, slot, timestamp, chains, args, w0, w1, w2, w3, w4, w5, w6, w7) {
  begun = true;
  now = timestamp;
  s0 = mix(w0 ^ mix(w4));
  s1 = mix(w1 ^ mix(w5 + 1));
  s2 = mix(w2 ^ mix(w6 + 2));
  s3 = mix(w3 ^ mix(w7 + 3));
  if ((s0 | s1 | s2 | s3) === 0) s0 = 1;
  const supported = new Set(chains === "" ? [] : chains.split(","));
  ctx = freeze({
    workflow,
    occurrence: BigInt(occurrence),
    account,
    slot: BigInt(slot),
    timestamp,
    args: deepFreeze(parse(args)),
    log,
    chain: (id) => chainOf(id, supported),
  });
}

function deepFreeze(value) {
  if (typeof value === "object" && value !== null && !isFrozen(value)) {
    for (const key of keys(value)) deepFreeze(value[key]);
    freeze(value);
  }
  return value;
}

function describe(error) {
  try {
    if (error instanceof Error) {
      void error.stack; // has the host note the line
      const { name, message } = error;
      return name === "Error" ? `${message}` : `${name}: ${message}`;
    }
    return `threw ${show(error)}, which is not an Error`;
  } catch {
    return "threw a value that cannot be shown";
  }
}

export async function drive(evaluated, namespace) {
  let result;
  try {
    await evaluated;
    const definition = namespace.default;
    if (definition === null || typeof definition !== "object" || typeof definition.run !== "function") {
      throw new TypeError("the module's default export must be defineWorkflow({ async run(ctx) { ... } })");
    }
    result = await definition.run(ctx);
  } catch (error) {
    raw.op_threw(error, describe(error));
    return;
  }
  settle(result);
}

function settle(result) {
  if (result === undefined || result === null) return raw.op_end("nothing", "");
  let calls;
  try {
    if (!isArray(result)) throw new TypeError(`run must return an array of calls or nothing, not ${show(result)}`);
    if (result.length === 0) return raw.op_end("nothing", "");
    // A call is at least 52 bytes of output, so an array this long is too large before it is looked at.
    if (result.length * 52 > raw.op_output_limit()) return raw.op_end("too_large", "");
    calls = [];
    for (let i = 0; i < result.length; i++) calls.push(callOf(result[i], `calls[${i}]`));
  } catch (error) {
    let message = "the returned value cannot be read";
    try {
      message = `${error.message}`;
    } catch {
      // A getter of the workflow's threw something that throws: the general message stands.
    }
    return raw.op_end("bad_output", message);
  }
  raw.op_end("calls", toJson(calls));
}

function callOf(call, where) {
  if (call === null || typeof call !== "object") throw new TypeError(`${where}: expected { to, value?, data? }, got ${show(call)}`);
  for (const key of keys(call)) {
    if (key !== "to" && key !== "value" && key !== "data") throw new TypeError(`${where}.${key}: a call has only to, value and data`);
  }
  const { to, value = 0n, data = "0x" } = call;
  if (!isAddress(to, { strict: false })) throw new TypeError(`${where}.to: ${show(to)} is not an address`);
  if (typeof value !== "bigint" || value < 0n || value >= 1n << 256n) {
    throw new TypeError(`${where}.value: ${show(value)} is not a bigint from 0 to 2^256 - 1`);
  }
  if (!isHex(data) || data.length % 2) throw new TypeError(`${where}.data: ${show(data)} is not 0x hex of whole bytes`);
  return [to, value.toString(16), data];
}
