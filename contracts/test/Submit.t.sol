// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {PackedUserOperation} from "@openzeppelin/contracts/interfaces/IERC4337.sol";
import "./Network.sol";

/// The happy path.
contract SubmitTest is Network {
    function setUp() public {
        deployNetwork(4);
        addAccounts(4);
    }

    function test_a_certified_batch_executes() public {
        Submission memory s = submissionOf(recordOperations(4), approvals(4), firstOf(3));
        submit(s);
        for (uint256 i = 0; i < 4; ++i) {
            eq(recorded(i), 1, "executed once");
            check(module.isSpent(accounts[i], occurrence(i + 1)), "occurrence spent");
        }
        eq(center.done(center.proposalDigest(s.proposal), 0), 15, "all done");
        check(AGGREGATOR.balance > 0, "submitter is paid");
    }
}
