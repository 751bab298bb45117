// expect: nothing_to_do
import { toFunctionSelector } from "viem";
export default {
  async run(ctx) {
    toFunctionSelector("f(\0)");
  },
};
