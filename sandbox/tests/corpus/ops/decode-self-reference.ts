// expect: threw; line: 7
import { decodeAbiParameters } from "viem";
export default {
  async run(ctx) {
    // Every offset points at itself, so the same bytes are an array of arrays of arrays.
    const type = `uint256${"[]".repeat(12)}`;
    decodeAbiParameters([{ type }], `0x${"20".padStart(64, "0").repeat(64)}`);
  },
};
