// expect: threw; line: 5; says: parseAbi
import { parseAbi } from "viem";
export default {
  async run(ctx) {
    parseAbi([`function f(${"(".repeat(50_000)}uint256${")".repeat(50_000)})` as never]);
  },
};
