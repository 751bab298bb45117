// expect: threw; line: 5
import { encodeAbiParameters } from "viem";
export default {
  async run(ctx) {
    encodeAbiParameters([{ type: "uint256" }], { toJSON: () => ({}) } as never);
  },
};
