// Texts and places of errors, the engine's and the SDK's.
import { decodeAbiParameters, encodeFunctionData, getAddress, hexToBigInt, pad, parseAbi, parseUnits, slice } from "viem";
export default {
  async run(ctx: any) {
    const tries: (() => unknown)[] = [
      () => (null as any).x,
      () => (undefined as any)(),
      () => (globalThis as any).nothing.x,
      () => new Array(-1),
      () => "x".repeat(-1),
      () => (1).toFixed(101),
      () => BigInt(1.5),
      () => BigInt("x"),
      () => 1n + (1 as any),
      () => 1n / 0n,
      () => JSON.parse("{a"),
      () => JSON.parse("[1,]"),
      () => new RegExp("("),
      () => new (Symbol as any)(),
      () => Symbol() + "",
      () => Object.defineProperty(Object.freeze({}), "x", { value: 1 }),
      () => Reflect.construct({} as any, []),
      () => decodeURIComponent("%"),
      () => structured.missing(),
      () => new Proxy({}, null as any),
      () => [].reduce((a) => a),
      () => new Uint8Array(-1),
      () => new DataView(new ArrayBuffer(1)).getInt32(0),
      () => "a".normalize("x"),
      () => String.fromCodePoint(-1),
      () => { const a: any = 1; a(); },
      () => parseAbi(["function ("] as any),
      () => encodeFunctionData({ abi: parseAbi(["function f(uint8 x)"]), args: [300] }),
      () => encodeFunctionData({ abi: [], functionName: "f" } as any),
      () => decodeAbiParameters([{ type: "uint256" }], "0x12"),
      () => getAddress("0x12" as any),
      () => hexToBigInt("0xzz" as any),
      () => pad("0x112233", { size: 1 }),
      () => parseUnits("1e3", 18),
      () => slice("0x11", 5),
      () => ctx.chain("x"),
    ];
    const structured: any = {};
    let line = "";
    for (const attempt of tries) {
      try {
        line += `${String(attempt())}\n`;
      } catch (error: any) {
        line += `${error?.name}|${error?.message}|${error?.stack}|${Object.getOwnPropertyNames(error).join()}|${error?.lineNumber}\n`;
      }
    }
    for (let at = 0; at < line.length; at += 900) ctx.log(line.slice(at, at + 900));
    const f = () => { throw new TypeError("last"); };
    f();
  },
};
