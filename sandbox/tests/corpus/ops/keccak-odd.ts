// expect: nothing_to_do
import { keccak256 } from "viem";
export default {
  async run(ctx) {
    keccak256("0x123");
  },
};
