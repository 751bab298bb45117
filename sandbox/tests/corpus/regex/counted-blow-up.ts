// expect: nothing_to_do
export default {
  async run(ctx) {
    // A compiler that unrolls would need 10^12 states for this.
    new RegExp("((((a{1000}){1000}){1000}){1000})").test("a");
  },
};
