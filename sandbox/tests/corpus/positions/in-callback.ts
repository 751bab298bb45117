// expect: threw; line: 5; says: here
export default {
  run() {
    [1, 2, 3].forEach((n: number): void => {
      if (n === 2) throw new Error(`here ${n}`);
    });
  },
};
