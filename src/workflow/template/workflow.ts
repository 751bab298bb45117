// Keeps an account topped up: when its balance is below a floor, sends it an amount.
//
// args (in workflow.toml): chainId, recipient, floor and amount (decimal strings, in wei)
import { defineWorkflow } from "@ditto/workflow";
import { formatEther } from "viem";

interface Args {
  chainId: number;
  recipient: `0x${string}`;
  floor: string;
  amount: string;
}

export default defineWorkflow<Args>({
  async run(ctx) {
    const { chainId, recipient, floor, amount } = ctx.args;

    const balance = await ctx.chain(chainId).getBalance(recipient);
    if (balance >= BigInt(floor)) return; // nothing to do this time

    ctx.log(`balance ${formatEther(balance)} is below ${formatEther(BigInt(floor))}: sending ${formatEther(BigInt(amount))}`);
    return [{ to: recipient, value: BigInt(amount) }];
  },
});
