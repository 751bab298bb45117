// expect: threw; line: 6; says: here
const later = async <T,>(value: T): Promise<T> => {
  await null;
  await Promise.resolve();
  if (value)
    throw new RangeError("here");
  return value;
};
export default { run: () => later(1) };
