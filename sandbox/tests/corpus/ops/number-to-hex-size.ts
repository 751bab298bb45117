// expect: threw | out_of_memory
import { numberToHex } from "viem";
export default {
  async run(ctx) {
    numberToHex(1n, { size: 2 ** 40 });
  },
};
