// expect: threw; says: revoked
export default {
  async run(ctx) {
    const { proxy, revoke } = Proxy.revocable([], {});
    revoke();
    return proxy as never;
  },
};
