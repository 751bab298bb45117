// expect: threw; line: 5
import { encodePacked } from "viem";
export default {
  async run(ctx) {
    encodePacked(["uint7"] as never, [1n]);
  },
};
