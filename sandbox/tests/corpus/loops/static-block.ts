// expect: timed_out
class Late {
  static {
    for (;;) {}
  }
}
export default { run: () => new Late() };
