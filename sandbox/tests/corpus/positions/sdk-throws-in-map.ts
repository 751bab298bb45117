// expect: threw; line: 7; says: parseUnits
import { parseUnits } from "viem";
export default {
  run() {
    return ["1", "2", "x"].map(
      (amount: string) =>
        parseUnits(amount, 18),
    ) as never;
  },
};
