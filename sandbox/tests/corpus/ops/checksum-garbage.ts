// expect: threw; line: 5; says: getAddress
import { getAddress } from "viem";
export default {
  async run(ctx) {
    getAddress(`0x${"\u0130".repeat(40)}`);
  },
};
