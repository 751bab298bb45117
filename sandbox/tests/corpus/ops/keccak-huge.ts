// expect: nothing_to_do | out_of_memory | threw
import { keccak256 } from "viem";
export default {
  async run(ctx) {
    keccak256(`0x${"00".repeat(1 << 22)}`);
  },
};
