//! Whether a run came to the end of its stack.
//!
//! The engine refuses a call when the native stack is used up, and a workflow may catch that and go on. How many calls fit
//! depends on how large a compiler made the frames: on the build, and on whether a template or the zygote forked the run.
//! Nothing that depends on it may become a verdict. So a run that survived the refusal, or came so near to it that in
//! another build it might have met it, ends as [`Outcome::OutOfMemory`], for which nobody votes.
//!
//! The end of the stack is a window of pages that are zero when a run starts. What was called that deep left a trace there.

use super::runtime::{Answer, Port};
use crate::outcome::Outcome;

/// x86_64 has one page size.
const PAGE: usize = 4096;
/// The window: what the engine itself needs beyond its limit to make the exception (some 10 KiB), and as much again as
/// frames of builds may differ by, summed over the deepest stack.
const WINDOW: usize = 12 * PAGE;
/// Where the end of the engine's stack (1 MiB by default) is looked for, below the caller.
const SEARCHED: usize = 3 << 20;
/// Left alone: the caller's callees use it while they look.
const NEAR: usize = 64 << 10;

#[derive(Clone, Copy)]
pub(super) struct Watermark {
    start: usize,
}

impl Watermark {
    /// Has `overflow` use up the engine's stack once, and finds how far that went. On the main thread only: the kernel lets
    /// its stack grow wherever it is touched, within its limit. Nothing when no trace is left, or one deeper than any
    /// engine's.
    pub(super) fn find(overflow: impl FnOnce()) -> Option<Watermark> {
        let local = 0u8;
        let here = &raw const local as usize;
        let end = (here - NEAR) / PAGE * PAGE;
        let start = end - SEARCHED;
        forget(start, SEARCHED);
        overflow();
        let deepest = (start..end).step_by(size_of::<u64>()).find(|address| word(*address) != 0)?;
        // A megabyte that every fork would have to share otherwise.
        forget(start, SEARCHED);
        (deepest >= start + PAGE).then_some(Watermark { start: deepest / PAGE * PAGE })
    }

    /// Before a run: whatever compiled its module may have been as deep.
    pub(super) fn clear(self) {
        forget(self.start, WINDOW);
    }

    /// After it.
    pub(super) fn reached(self) -> bool {
        // One call for all pages, most of which are not there; should the kernel refuse it, reading them brings them.
        // SAFETY: makes pages of this thread's stack present, and changes nothing in them.
        unsafe { libc::madvise(self.start as *mut libc::c_void, WINDOW, libc::MADV_POPULATE_READ) };
        (self.start..self.start + WINDOW).step_by(size_of::<u64>()).any(|address| word(address) != 0)
    }
}

/// Makes pages of this thread's unused stack zero.
fn forget(start: usize, length: usize) {
    // SAFETY: the pages lie at least `NEAR` below every frame that is in use, so nothing in them is needed. Where the
    // kernel refuses (nothing mapped there yet), they are zero when they come to be.
    unsafe { libc::madvise(start as *mut libc::c_void, length, libc::MADV_DONTNEED) };
}

fn word(address: usize) -> u64 {
    // SAFETY: aligned, and within the main thread's stack, which the kernel maps as zero wherever it was not used.
    unsafe { std::ptr::read_volatile(address as *const u64) }
}

/// A run's way to its host, with an eye on its stack.
pub(super) struct Watched {
    pub(super) port: Box<dyn Port>,
    pub(super) mark: Watermark,
}

impl Port for Watched {
    fn read(&mut self, chain_id: u64, method: &str, params: &str) {
        self.port.read(chain_id, method, params);
    }

    fn log(&mut self, line: &str) {
        self.port.log(line);
    }

    fn next_answer(&mut self) -> Option<Answer> {
        self.port.next_answer()
    }

    fn end(&mut self, outcome: Outcome) -> ! {
        // The exception itself, when nobody caught it, is an author's mistake, and told as such.
        let told = matches!(outcome, Outcome::Threw { .. }) || outcome.trouble();
        let outcome = if !told && self.mark.reached() { Outcome::OutOfMemory } else { outcome };
        self.port.end(outcome)
    }
}
