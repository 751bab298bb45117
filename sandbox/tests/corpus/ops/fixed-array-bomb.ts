// expect: threw; line: 5
import { encodeAbiParameters } from "viem";
export default {
  async run(ctx) {
    encodeAbiParameters([{ type: "uint256[4294967295]" }], [[1n]]);
  },
};
