//! What operators and aggregators share.
//!
//! A *task* is one ERC-4337 operation of one *occurrence* (a workflow that is due in a slot). Tasks travel in
//! *proposals*; attesters answer with *verdicts*, signed with BLS over EIP-712 digests; enough voting power behind one
//! verdict vector makes a *certificate*. The modules follow that order:
//!
//! - [`clock`], [`task`], [`userop`], [`proposal`], [`verdict`], [`consent`]: the nouns and the bytes that are signed;
//! - [`network`], [`operators`], [`election`], [`committee`], [`quorum`], [`bls`]: who may say what, and when it is enough;
//! - [`wire`], [`p2p`], [`admission`]: SSZ messages, how they reach the others, and who is heard;
//! - [`chain`]: contract bindings, JSON-RPC, heads and pins;
//! - [`stage`], [`store`], [`telemetry`], [`config`], [`secret`], [`hardening`], [`top`]: how both binaries are built and run.
//!
//! Nothing here links a JavaScript engine, and nothing but [`config::presets`] names a particular chain.

pub mod admission;
pub mod bls;
pub mod chain;
pub mod clock;
pub mod committee;
pub mod config;
pub mod consent;
pub mod election;
pub mod evidence;
pub mod hardening;
pub mod keystore;
pub mod network;
pub mod operators;
pub mod p2p;
pub mod ports;
pub mod proposal;
pub mod quorum;
pub mod secret;
pub mod stage;
pub mod store;
pub mod task;
pub mod telemetry;
pub mod top;
pub mod userop;
pub mod verdict;
pub mod wire;
