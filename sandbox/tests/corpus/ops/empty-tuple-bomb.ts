// expect: threw
import { decodeAbiParameters } from "viem";
export default {
  async run(ctx) {
    const [list] = decodeAbiParameters([{ type: "tuple[]", components: [] }], `0x${"20".padStart(64, "0")}${"fffffff".padStart(64, "0")}`);
    ctx.log(list.length);
  },
};
