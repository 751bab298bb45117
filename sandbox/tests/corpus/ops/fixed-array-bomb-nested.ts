// expect: threw; line: 5
import { decodeAbiParameters } from "viem";
export default {
  async run(ctx) {
    decodeAbiParameters([{ type: "uint8[65535][65535][65535][65535]" }], `0x${"00".repeat(64)}`);
  },
};
