// expect: threw | nothing_to_do
export default { run() { using x = null; void x; } };
