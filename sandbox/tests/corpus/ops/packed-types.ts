// expect: threw; line: 5
import { encodePacked } from "viem";
export default {
  async run(ctx) {
    encodePacked(["uint257", "int0", "bytes33", "function", "tuple", "x"] as never, [1n, 1n, "0x", "0x", [], 1n] as never);
  },
};
