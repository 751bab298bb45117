// expect: nothing_to_do
export default {
  async run(ctx) {
    return [];
  },
};
