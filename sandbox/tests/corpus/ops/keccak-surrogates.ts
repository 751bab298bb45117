// expect: threw; line: 5
import { keccak256 } from "viem";
export default {
  async run(ctx) {
    keccak256("0x\ud800" as never);
  },
};
