// expect: threw; says: code from strings
export default {
  async run(ctx) {
    let proto = Object.getPrototypeOf(async function* () {});
    while (!Object.hasOwn(proto, "constructor")) proto = Object.getPrototypeOf(proto);
    proto.constructor("return 1")();
  },
};
