// expect: threw
import { pad } from "viem";
export default {
  async run(ctx) {
    pad("0x", { size: Infinity });
  },
};
