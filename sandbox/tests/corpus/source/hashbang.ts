// expect: threw
#!/bin/sh
export default { run() {} };
