// expect: threw; line: 7
import { encodeAbiParameters } from "viem";
export default {
  async run(ctx) {
    let value: any = 1n;
    for (let i = 0; i < 5_000; i++) value = [value];
    encodeAbiParameters([{ type: "uint256" }], [value]);
  },
};
