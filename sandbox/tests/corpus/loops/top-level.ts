// expect: timed_out
while (true);
export default { run() {} };
