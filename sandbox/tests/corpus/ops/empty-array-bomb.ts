// expect: threw
import { decodeAbiParameters } from "viem";
export default {
  async run(ctx) {
    // Elements without size: a length alone would make as many of them as it says.
    const [list] = decodeAbiParameters([{ type: "uint256[0][]" }], `0x${"20".padStart(64, "0")}${"ff".repeat(32)}`);
    ctx.log(list.length);
  },
};
