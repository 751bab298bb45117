// expect: threw
export default {
  async run(ctx) {
    throw new Error("\ud800 lone \udc00 \0 halves");
  },
};
