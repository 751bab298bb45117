// expect: threw; line: 4; says: lost
export default {
  async run(ctx) {
    Promise.reject(new Error("lost"));
  },
};
