// expect: out_of_memory | timed_out
export default {
  async run(ctx) {
    function* bomb(): Generator {
      yield bomb();
      yield bomb();
    }
    let front: Generator[] = [bomb()];
    for (;;) front = front.flatMap((one) => [one.next().value as Generator, one.next().value as Generator]);
  },
};
