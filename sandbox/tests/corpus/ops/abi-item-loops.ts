// expect: timed_out
import { encodeFunctionData } from "viem";
export default {
  async run(ctx) {
    encodeFunctionData({ abi: [{ type: "function", name: "f", get inputs() { for (;;) {} } }] as never });
  },
};
