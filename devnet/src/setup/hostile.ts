// What an operator must survive: never answers in even slots, throws in odd ones.
import { defineWorkflow } from "@ditto/workflow";

export default defineWorkflow({
  async run(ctx) {
    if (ctx.slot % 2n === 0n) for (;;) {}
    throw new Error("hostile on purpose");
  },
});
