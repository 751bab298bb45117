// expect: threw | out_of_memory | nothing_to_do | timed_out
export default {
  async run(ctx) {
    BigInt.asUintN(2 ** 53 - 1, -1n);
  },
};
