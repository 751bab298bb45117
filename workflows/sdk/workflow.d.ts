// Types of the package @ditto/workflow, as operators provide it.

import type { Abi, Address, Hex } from "viem";

/** One call for the account to make. */
export interface Call {
  to: Address;
  /** Wei; nothing when left out. */
  value?: bigint;
  data?: Hex;
}

/** A chain at the block to which every operator pins this slot's reads. A read that reverts throws `CallReverted`. */
export interface Chain {
  readonly id: bigint;
  /** One view function. Several results come as an array, integers of up to 48 bits as numbers, larger ones as bigints. */
  readContract(request: { address: Address; abi: Abi; functionName: string; args?: readonly unknown[] }): Promise<unknown>;
  call(request: { to: Address; data?: Hex }): Promise<{ data: Hex }>;
  getBalance(address: Address | { address: Address }): Promise<bigint>;
  /** Nothing for an address without code. */
  getCode(address: Address | { address: Address }): Promise<Hex | undefined>;
  getStorageAt(request: { address: Address; slot: bigint | Hex }): Promise<Hex>;
  /** The pinned block's number. */
  getBlockNumber(): Promise<bigint>;
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
