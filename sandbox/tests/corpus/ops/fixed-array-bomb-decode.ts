// expect: threw; line: 5
import { decodeAbiParameters } from "viem";
export default {
  async run(ctx) {
    decodeAbiParameters([{ type: "uint256[4294967295]" }], `0x${"00".repeat(64)}`);
  },
};
