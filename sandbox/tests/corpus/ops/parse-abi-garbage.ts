// expect: threw; line: 5; says: parseAbi
import { parseAbi } from "viem";
export default {
  async run(ctx) {
    parseAbi(["function \u0000(((((" as never]);
  },
};
