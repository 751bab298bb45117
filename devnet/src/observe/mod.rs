//! What happens, as the devnet sees it for itself: executions on the chain ([`chain`]), and what the processes say of
//! themselves ([`scrape`]), put together slot by slot ([`slots`]).

pub mod chain;
pub mod ledger;
pub mod scrape;
pub mod slots;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Shared between the tasks that watch.
pub type Shared<T> = Arc<Mutex<T>>;

/// Locks; what a panicking task left behind is still what was seen.
pub fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
