// Types of the viem subset that operators provide. Names, arguments and results are viem 2's; what is missing here fails
// when the workflow is loaded, with its name.

export type Hex = `0x${string}`;
export type Address = `0x${string}`;
export type ByteArray = Uint8Array;

export interface AbiParameter {
  readonly type: string;
  readonly name?: string;
  readonly components?: readonly AbiParameter[];
}

export interface AbiItem {
  readonly type: string;
  readonly name?: string;
  readonly inputs?: readonly AbiParameter[];
  readonly outputs?: readonly AbiParameter[];
  readonly stateMutability?: string;
}

export type Abi = readonly AbiItem[];

export const zeroAddress: Address;
export const zeroHash: Hex;
export const maxUint256: bigint;

/** Human-readable signatures. Tuples are written without the names of their fields; structs are not supported. */
export function parseAbi(signatures: readonly string[]): Abi;
export function parseAbiItem(signature: string | readonly string[]): AbiItem;
export function parseAbiParameters(parameters: string | readonly string[]): readonly AbiParameter[];

export function encodeFunctionData(request: { abi: Abi | AbiItem; functionName?: string; args?: readonly unknown[] }): Hex;
export function decodeFunctionResult(request: { abi: Abi | AbiItem; functionName?: string; args?: readonly unknown[]; data: Hex }): unknown;
export function decodeFunctionData(request: { abi: Abi; data: Hex }): { functionName: string; args: readonly unknown[] | undefined };
export function encodeAbiParameters(parameters: readonly AbiParameter[], values: readonly unknown[]): Hex;
export function decodeAbiParameters(parameters: readonly AbiParameter[], data: Hex | ByteArray): unknown[];
export function encodePacked(types: readonly string[], values: readonly unknown[]): Hex;
/** Of a signature such as "transfer(address,uint256)", or of an ABI item. */
export function toFunctionSelector(item: string | AbiItem): Hex;

export function keccak256(value: Hex | ByteArray): Hex;

export function toHex(value: string | number | bigint | boolean | ByteArray, options?: { size?: number; signed?: boolean }): Hex;
export function numberToHex(value: number | bigint, options?: { size?: number; signed?: boolean }): Hex;
export function hexToBigInt(hex: Hex, options?: { signed?: boolean; size?: number }): bigint;
export function hexToNumber(hex: Hex, options?: { signed?: boolean; size?: number }): number;
export function hexToString(hex: Hex): string;
export function fromHex(hex: Hex, to: "bigint"): bigint;
export function fromHex(hex: Hex, to: "number"): number;
export function fromHex(hex: Hex, to: "boolean"): boolean;
export function fromHex(hex: Hex, to: "string"): string;
export function fromHex(hex: Hex, to: "bytes"): ByteArray;

export function concat(values: readonly Hex[]): Hex;
export function concat(values: readonly ByteArray[]): ByteArray;
export function pad(value: Hex, options?: { dir?: "left" | "right"; size?: number }): Hex;
export function size(value: Hex | ByteArray): number;
export function slice(value: Hex, start?: number, end?: number): Hex;

export function parseUnits(value: string, decimals: number): bigint;
export function formatUnits(value: bigint, decimals: number): string;
export function parseEther(value: string): bigint;
export function formatEther(value: bigint): string;

export function isAddress(value: string, options?: { strict?: boolean }): value is Address;
export function getAddress(value: string): Address;
export function isAddressEqual(a: Address, b: Address): boolean;
