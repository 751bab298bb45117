// Types of the package @ditto/workflow, as operators provide it.

import type { Abi, AbiEvent, Address, Hex } from "viem";

/** One call for the account to make. */
export interface Call {
  to: Address;
  /** Wei; nothing when left out. */
  value?: bigint;
  data?: Hex;
}

/** A block of a chain. */
export interface Block {
  readonly number: bigint;
  readonly hash: Hex;
  readonly parentHash: Hex;
  /** Seconds since 1970. */
  readonly timestamp: bigint;
  readonly gasLimit: bigint;
  readonly gasUsed: bigint;
  /** Wei; null on a chain without EIP-1559. */
  readonly baseFeePerGas: bigint | null;
  readonly miner: Address;
  readonly mixHash: Hex;
}

export interface Log {
  readonly address: Address;
  readonly topics: readonly Hex[];
  readonly data: Hex;
  readonly blockNumber: bigint;
  readonly blockHash: Hex;
  readonly transactionHash: Hex;
  readonly logIndex: number;
}

/** A log with its event's name and arguments, as `decodeEventLog` gives them. */
export interface EventLog extends Log {
  readonly eventName: string;
  readonly args: any;
}

export interface LogFilter {
  /** 1 to 16 contracts. */
  readonly address: Address | readonly Address[];
  /** First and last block; the pinned one when left out. At most 2,000 blocks in one read. */
  readonly fromBlock?: bigint | number;
  readonly toBlock?: bigint | number;
}

export interface ReadContractRequest {
  readonly address: Address;
  readonly abi: Abi;
  readonly functionName: string;
  readonly args?: readonly unknown[];
}

/**
 * A chain at the block to which every operator pins this slot's reads.
 *
 * Reads that are started before the first one is awaited travel together: use `Promise.all` or `readContracts`.
 *
 * - A call that reverts throws an error named `CallReverted`; its `data` is what the contract returned. Catch it, if you like.
 * - A block beyond the pinned one, and too many blocks of logs, throw an error named `ReadRefused`, alike for every operator.
 * - A read that no node answers cannot be caught: it ends the run, and the operator tries again or abstains.
 */
export interface Chain {
  readonly id: bigint;
  /** One view function. Several results come as an array, integers of up to 48 bits as numbers, larger ones as bigints. */
  readContract<Result = unknown>(request: ReadContractRequest): Promise<Result>;
  /** Several view functions at once, their results in the same order. Each counts as one read. */
  readContracts<Results extends readonly unknown[] = unknown[]>(requests: readonly ReadContractRequest[]): Promise<Results>;
  call(request: { to: Address; data?: Hex }): Promise<{ data: Hex }>;
  /** Wei. */
  getBalance(address: Address | { address: Address }): Promise<bigint>;
  /** Nothing for an address without code. */
  getCode(address: Address | { address: Address }): Promise<Hex | undefined>;
  getStorageAt(request: { address: Address; slot: bigint | Hex }): Promise<Hex>;
  /** The pinned block's number. Every operator has it at hand: no node is asked. */
  getBlockNumber(): Promise<bigint>;
  /** The pinned block, or an older one. */
  getBlock(request?: { blockNumber?: bigint | number }): Promise<Block>;
  /**
   * Logs by block and index. With an event, or several, only theirs, decoded; `args` are the wanted values of one event's
   * indexed arguments, an array meaning any of its elements.
   */
  getLogs(filter: LogFilter & { event?: undefined; events?: undefined; args?: undefined }): Promise<Log[]>;
  getLogs(filter: LogFilter & { event: AbiEvent; events?: undefined; args?: Readonly<Record<string, unknown>> | readonly unknown[] }): Promise<EventLog[]>;
  getLogs(filter: LogFilter & { events: readonly AbiEvent[]; event?: undefined; args?: undefined }): Promise<EventLog[]>;
}

export interface Context<Args = Record<string, unknown>> {
  /** The workflow's id, decimal. */
  readonly workflow: string;
  /** The number of this occurrence: (workflow << 64) | slot. It is executed at most once, ever. */
  readonly occurrence: bigint;
  /** The smart account that will make the calls. */
  readonly account: Address;
  readonly slot: bigint;
  /** The slot's start in milliseconds since 1970; `Date` knows no other time. */
  readonly timestamp: number;
  /** What the workflow was published with. */
  readonly args: Readonly<Args>;
  /** Notes for the author; they decide nothing. `console.log` does the same. */
  log(...values: unknown[]): void;
  /** A chain that this network supports; any other id ends the run. */
  chain(id: number | bigint): Chain;
}

export interface Workflow<Args = Record<string, unknown>> {
  /** Returns the calls to make, or nothing. */
  run(ctx: Context<Args>): Promise<readonly Call[] | null | undefined | void> | readonly Call[] | null | undefined | void;
}

/** Marks the default export as a workflow and types its context. */
export function defineWorkflow<Args = Record<string, unknown>>(definition: Workflow<Args>): Workflow<Args>;

declare global {
  /** Writes to the run's log. */
  const console: Record<"log" | "info" | "warn" | "error" | "debug", (...values: unknown[]) => void>;
}
