// expect: threw | forbidden_import
import fs = require("fs");
export default { run: () => fs };
