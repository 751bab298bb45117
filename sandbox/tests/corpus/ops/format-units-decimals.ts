// expect: threw | out_of_memory
import { formatUnits } from "viem";
export default {
  async run(ctx) {
    formatUnits(1n, 2 ** 31);
  },
};
