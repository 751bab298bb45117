// expect: threw; line: 6; says: JSON
export default {
  run() {
    const text: string = "{";
    void text;
    return JSON.parse(text) as never;
  },
};
