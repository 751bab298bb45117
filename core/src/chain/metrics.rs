//! What is measured of the chains, with units and help texts.

use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};

/// Describes every metric of this module.
pub fn describe() {
    describe_counter!(
        "ditto_rpc_requests_total",
        "JSON-RPC requests, those in a batch counted one by one, by chain and endpoint."
    );
    describe_counter!(
        "ditto_rpc_failures_total",
        "JSON-RPC batches that an endpoint did not answer as it should, by chain, endpoint and kind."
    );
    describe_histogram!("ditto_rpc_seconds", Unit::Seconds, "Time of a JSON-RPC batch, by chain and endpoint.");
    describe_histogram!("ditto_rpc_batch_requests", "Requests in a JSON-RPC batch.");
    describe_counter!(
        "ditto_rpc_set_aside_total",
        "Pinned blocks for which an endpoint was set aside: it did not know them, or had another block."
    );
    describe_counter!(
        "ditto_rpc_pins_outvoted_total",
        "Pins that were taken from other endpoints because most of them had another block, by chain."
    );
    describe_gauge!(
        "ditto_rpc_endpoint_up",
        "1 while an endpoint answers; 0 until it first does, and after a failure."
    );
    describe_gauge!("ditto_chain_head_number", "Number of the latest block seen, by chain.");
    describe_gauge!("ditto_chain_head_timestamp_seconds", Unit::Seconds, "Time of the latest block seen, by chain.");
}
