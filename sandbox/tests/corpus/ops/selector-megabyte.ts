// expect: threw; line: 5
import { toFunctionSelector } from "viem";
export default {
  async run(ctx) {
    toFunctionSelector(`f(${"uint256,".repeat(200_000)}`);
  },
};
