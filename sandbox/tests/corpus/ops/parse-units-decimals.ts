// expect: threw | out_of_memory | timed_out
import { parseUnits } from "viem";
export default {
  async run(ctx) {
    parseUnits("1", 2 ** 28);
  },
};
