// expect: threw; line: 7
import { encodeAbiParameters } from "viem";
export default {
  async run(ctx) {
    let type: any = { type: "uint256" };
    for (let i = 0; i < 5_000; i++) type = { type: "tuple", components: [type] };
    encodeAbiParameters([type], [1n]);
  },
};
