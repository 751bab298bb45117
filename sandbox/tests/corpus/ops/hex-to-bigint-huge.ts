// expect: threw | out_of_memory | nothing_to_do | timed_out
import { hexToBigInt } from "viem";
export default {
  async run(ctx) {
    hexToBigInt(`0x${"f".repeat(1 << 24)}`);
  },
};
