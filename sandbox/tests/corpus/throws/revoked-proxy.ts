// expect: threw
export default {
  async run(ctx) {
    const { proxy, revoke } = Proxy.revocable({}, {});
    revoke();
    throw proxy;
  },
};
