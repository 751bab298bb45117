// expect: threw
import { pad } from "viem";
export default {
  async run(ctx) {
    pad("0x", { size: 2 ** 30 });
  },
};
