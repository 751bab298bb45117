// The native half of the SDK.
import { concat, decodeAbiParameters, decodeFunctionResult, encodeAbiParameters, encodeFunctionData, encodePacked, formatEther, getAddress, keccak256, numberToHex, parseAbi, parseEther, slice, toFunctionSelector, toHex } from "viem";
const abi = parseAbi([
  "function f(uint256 a, (address to, bytes data, int8[2] xs)[] list, string s) view returns (bool ok, uint8 n)",
  "event E(address indexed who, uint256 what)",
  "error Bad(string why)",
]);
export default {
  async run(ctx: any) {
    ctx.log(JSON.stringify(abi).slice(0, 1_000));
    const data = encodeFunctionData({ abi, functionName: "f", args: [2n ** 255n, [{ to: ctx.account, data: "0x1234", xs: [-1, 2] }], "\u00e9\ud83d\ude00"] });
    ctx.log(data);
    ctx.log(String(decodeFunctionResult({ abi, functionName: "f", data: `0x${"1".padStart(64, "0")}${"7".padStart(64, "0")}` })));
    const coded = encodeAbiParameters([{ type: "bytes32[]" }, { type: "bool" }], [[keccak256("0x"), keccak256(data)], true]);
    ctx.log(decodeAbiParameters([{ type: "bytes32[]" }, { type: "bool" }], coded).join(), encodePacked(["uint16", "string", "address"], [7, "x", ctx.account]));
    ctx.log(toFunctionSelector("f(uint256)"), getAddress(ctx.account), formatEther(10n ** 17n + 1n), parseEther("1.000000000000000001"), toHex("\u00e9", { size: 8 }), numberToHex(-1n, { size: 4, signed: true }));
    return [{ to: ctx.account, data: concat([slice(data, 0, 4), coded]) }];
  },
};
