// Types of the viem subset that operators provide. Names, arguments and results are viem 2's. What is missing here is
// refused before the workflow runs, with its name and what to use instead.
//
// Types are wider than viem's own: arguments and results of contracts are `unknown`, so say what you expect with `as`.

export type Hex = `0x${string}`;
export type Address = `0x${string}`;
export type ByteArray = Uint8Array;

// --- ABI ---------------------------------------------------------------------------------------------------------------

export interface AbiParameter {
  readonly type: string;
  readonly name?: string;
  readonly indexed?: boolean;
  readonly components?: readonly AbiParameter[];
}

export type AbiStateMutability = "pure" | "view" | "nonpayable" | "payable";

export interface AbiFunction {
  readonly type: "function";
  readonly name: string;
  readonly inputs: readonly AbiParameter[];
  readonly outputs: readonly AbiParameter[];
  readonly stateMutability: AbiStateMutability;
}

export interface AbiEvent {
  readonly type: "event";
  readonly name: string;
  readonly inputs: readonly AbiParameter[];
  readonly anonymous?: boolean;
}

export interface AbiError {
  readonly type: "error";
  readonly name: string;
  readonly inputs: readonly AbiParameter[];
}

export interface AbiConstructor {
  readonly type: "constructor";
  readonly inputs: readonly AbiParameter[];
  readonly stateMutability: "nonpayable" | "payable";
}

export interface AbiFallback {
  readonly type: "fallback" | "receive";
  readonly stateMutability: "nonpayable" | "payable";
}

export type AbiItem = AbiFunction | AbiEvent | AbiError | AbiConstructor | AbiFallback;
export type Abi = readonly AbiItem[];

/** Which kind of item a signature that is written out makes. */
type ItemOf<Signature extends string> =
  Signature extends `function ${string}` ? AbiFunction
    : Signature extends `event ${string}` ? AbiEvent
      : Signature extends `error ${string}` ? AbiError
        : AbiItem;

/** Human-readable signatures: functions, events, errors, and the structs that they use. */
export function parseAbi(signatures: readonly string[]): Abi;
/** One signature, or one signature and the structs that it uses. */
export function parseAbiItem<const Signature extends string>(signature: Signature): ItemOf<Signature>;
export function parseAbiItem(signatures: readonly string[]): AbiItem;
export function parseAbiParameters(parameters: string | readonly string[]): readonly AbiParameter[];

/** `functionName` may be left out when the ABI has one item. Overloads are told apart by the arguments. */
export function encodeFunctionData(request: { abi: Abi; functionName?: string; args?: readonly unknown[] }): Hex;
/** One result is itself, several are an array, none is undefined. */
export function decodeFunctionResult(request: { abi: Abi; functionName?: string; args?: readonly unknown[]; data: Hex }): unknown;
export function decodeFunctionData(request: { abi: Abi; data: Hex }): { functionName: string; args: readonly unknown[] | undefined };
/** Tuples are arrays, or objects by the names of their fields. */
export function encodeAbiParameters(parameters: readonly AbiParameter[], values: readonly unknown[]): Hex;
/** Integers of up to 48 bits come as numbers, larger ones as bigints; tuples as objects if all their fields have names. */
export function decodeAbiParameters(parameters: readonly AbiParameter[], data: Hex | ByteArray): unknown[];
export function encodePacked(types: readonly string[], values: readonly unknown[]): Hex;
/** With `strict: false`, arguments that the log does not have are left out instead of an error. */
export function decodeEventLog(request: { abi: Abi; topics: readonly Hex[]; data?: Hex; strict?: boolean }): {
  eventName: string;
  /** By name, or by position when one has no name. Of an indexed string, bytes, array or struct there is only the hash. */
  args: Record<string, unknown> | readonly unknown[] | undefined;
};
/** Of a signature such as "transfer(address,uint256)", or of an ABI item. */
export function toFunctionSelector(item: string | AbiFunction): Hex;
export function toEventSelector(item: string | AbiEvent): Hex;

export interface TypedDataDomain {
  readonly name?: string;
  readonly version?: string;
  readonly chainId?: number | bigint;
  readonly verifyingContract?: Address;
  readonly salt?: Hex;
}

/** EIP-712: the hash that a wallet signs. Types that contain themselves are not supported. */
export function hashTypedData(request: {
  domain?: TypedDataDomain;
  types: Readonly<Record<string, readonly { readonly name: string; readonly type: string }[]>>;
  primaryType: string;
  message?: Readonly<Record<string, unknown>>;
}): Hex;

// --- Bytes -------------------------------------------------------------------------------------------------------------

export const zeroHash: Hex;

export function keccak256(value: Hex | ByteArray): Hex;
export function keccak256(value: Hex | ByteArray, to: "hex"): Hex;
export function keccak256(value: Hex | ByteArray, to: "bytes"): ByteArray;
export function concat(values: readonly Hex[]): Hex;
export function concat(values: readonly ByteArray[]): ByteArray;
/** To 32 bytes and from the left, unless said otherwise. */
export function pad<Value extends Hex | ByteArray>(value: Value, options?: { dir?: "left" | "right"; size?: number | null }): Value extends Hex ? Hex : ByteArray;
/** Offsets are in bytes; negative ones count from the end. */
export function slice<Value extends Hex | ByteArray>(value: Value, start?: number, end?: number, options?: { strict?: boolean }): Value extends Hex ? Hex : ByteArray;
/** In bytes. */
export function size(value: Hex | ByteArray): number;

// --- Numbers and texts -------------------------------------------------------------------------------------------------

export const maxUint256: bigint;

interface SizeOptions {
  /** In bytes. */
  size?: number;
}

interface IntegerOptions extends SizeOptions {
  /** Two's complement. */
  signed?: boolean;
}

/** A number's hex, a text's UTF-8, a boolean's 0x0 or 0x1. */
export function toHex(value: string | number | bigint | boolean | ByteArray, options?: IntegerOptions): Hex;
export function numberToHex(value: number | bigint, options?: IntegerOptions): Hex;
export function hexToBigInt(hex: Hex, options?: IntegerOptions): bigint;
/** Throws beyond 2^53 - 1. */
export function hexToNumber(hex: Hex, options?: IntegerOptions): number;
export function hexToString(hex: Hex, options?: SizeOptions): string;
export function fromHex(hex: Hex, to: "bigint" | ({ to: "bigint" } & IntegerOptions)): bigint;
export function fromHex(hex: Hex, to: "number" | ({ to: "number" } & IntegerOptions)): number;
export function fromHex(hex: Hex, to: "boolean" | ({ to: "boolean" } & SizeOptions)): boolean;
export function fromHex(hex: Hex, to: "string" | ({ to: "string" } & SizeOptions)): string;
export function fromHex(hex: Hex, to: "bytes" | ({ to: "bytes" } & SizeOptions)): ByteArray;

/** Digits beyond the decimals are rounded, half away from zero. */
export function parseUnits(value: string, decimals: number): bigint;
export function formatUnits(value: bigint, decimals: number): string;
export function parseEther(value: string, unit?: "wei" | "gwei"): bigint;
export function formatEther(value: bigint, unit?: "wei" | "gwei"): string;

// --- Addresses ---------------------------------------------------------------------------------------------------------

export const zeroAddress: Address;

/** Mixed case must be the right checksum, unless `strict` is false. */
export function isAddress(value: string, options?: { strict?: boolean }): value is Address;
/** With its checksum (EIP-55; with a chain id EIP-1191). */
export function getAddress(value: string, chainId?: number): Address;
export function isAddressEqual(a: Address, b: Address): boolean;
/** Where a contract will be, or is, created. */
export function getContractAddress(
  request:
    | { opcode?: "CREATE"; from: Address; nonce: bigint | number }
    | { opcode: "CREATE2"; from: Address; salt: Hex | ByteArray; bytecode: Hex | ByteArray }
    | { opcode: "CREATE2"; from: Address; salt: Hex | ByteArray; bytecodeHash: Hex | ByteArray },
): Address;
