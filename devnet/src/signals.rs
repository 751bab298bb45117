//! Signals: what events and conditions of the devnet's workflows look for. A contract is set to 1, 2, 3, one after the other, in
//! two of every three slots.
//!
//! What is due follows from the blocks that took them, not from when they were sent.

use std::time::Duration;

use alloy::primitives::{I256, U256};
use alloy::sol_types::SolCall;
use ditto_core::clock::SlotClock;
use tokio_util::sync::CancellationToken;

use crate::bindings::oracle::DemoOracle;
use crate::setup::Demo;
use crate::setup::workflows::Window;
use crate::transactions::Sender;

/// Gas for setting the contract.
const GAS: u64 = 150_000;

/// Gives signals from the window's first slot on, until its end or `stop`.
///
/// # Errors
/// When the chain does not take one.
pub async fn give(
    mut sender: Sender,
    demo: Demo,
    clock: SlotClock,
    window: Window,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let mut count = 0;
    for slot in window.first..window.last() {
        if slot % 3 == 2 {
            continue;
        }
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            () = tokio::time::sleep(clock.until(slot, 0) + Duration::from_millis(100)) => {}
        }
        count += 1;
        let answer = I256::try_from(count).unwrap_or_default();
        let call = DemoOracle::setCall { answer };
        // Not waited for: the next one takes the next nonce.
        sender.call(format!("signal {count}"), demo.signal, U256::ZERO, call.abi_encode(), GAS).await?;
    }
    Ok(())
}
