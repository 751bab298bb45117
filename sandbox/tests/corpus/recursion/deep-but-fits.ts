// expect: nothing_to_do
export default {
  async run() {
    const down = (n: number): number => (n === 0 ? 0 : 1 + down(n - 1));
    if (down(200) !== 200) throw new Error("200 calls are nothing special");
  },
};
