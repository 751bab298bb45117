// expect: threw; line: 5; memory_mib: 64
import { parseAbi, encodeFunctionData } from "viem";
export default {
  async run(ctx) {
    encodeFunctionData({ abi: parseAbi([`function f(uint256${"[]".repeat(1_000_000)} x)` as never]), args: [[]] });
  },
};
