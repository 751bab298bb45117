// expect: threw | out_of_memory | timed_out; wall_ms: 300
import { parseUnits } from "viem";
export default {
  async run(ctx) {
    parseUnits("9".repeat(1 << 24), 18);
  },
};
