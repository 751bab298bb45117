// expect: threw
export default {
  async run(ctx) {
    (Array.prototype as any).toJSON = (Object.prototype as any).toJSON = (String.prototype as any).toJSON = () => "forged";
    (BigInt.prototype as any).toJSON = () => "forged";
    return [{ to: ctx.account, value: 5n }];
  },
};
