// expect: nothing_to_do
import * as viem from "viem";
import * as workflow from "@ditto/workflow";
export default {
  run() {
    const odd = [...Object.keys(viem), ...Object.keys(workflow)].filter((name) => /^(raw|native|ops|prepare|drive|answer|fromJson|toJson)$/.test(name));
    if (odd.length > 0) throw new Error(odd.join());
    try {
      (viem as any).zeroAddress = "0x1";
      throw new RangeError("the SDK's module can be written");
    } catch (e) {
      if (e instanceof RangeError) throw e;
    }
  },
};
