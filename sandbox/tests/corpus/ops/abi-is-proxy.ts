// expect: threw; says: trap
import { encodeFunctionData } from "viem";
export default {
  async run(ctx) {
    encodeFunctionData({ abi: new Proxy([], { get() { throw new Error("trap"); } }) as never });
  },
};
