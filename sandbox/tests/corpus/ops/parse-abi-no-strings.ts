// expect: threw; line: 5
import { parseAbi } from "viem";
export default {
  async run(ctx) {
    parseAbi([{ toJSON() { return 5; } }] as never);
  },
};
