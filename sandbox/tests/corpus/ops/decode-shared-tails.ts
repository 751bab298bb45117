// expect: threw | out_of_memory | timed_out
import { decodeAbiParameters } from "viem";
export default {
  async run(ctx) {
    // 30 elements each level, all pointing at one tail: 30^6 of them.
    const word = (n: number) => n.toString(16).padStart(64, "0");
    let tail = word(1) + word(7);
    for (let level = 0; level < 6; level++) tail = word(30) + word(30 * 32).repeat(30) + tail;
    decodeAbiParameters([{ type: `uint256${"[]".repeat(7)}` }], `0x${word(32)}${tail}`);
  },
};
