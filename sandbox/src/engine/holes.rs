//! Makes the heap ready for forks: fills its holes, and puts off the collection of garbage.
//!
//! A process that has loaded the SDK and compiled a module has holes all over its heap, where things were that it needs no
//! more. What its children allocate would go there, and each first write to a page that is shared since the fork makes the
//! kernel copy it: that is most of what a short run costs. With the holes filled, a child's allocations lie side by side on
//! fresh pages. QuickJS cuts small blocks of each size from pages of its own ("arenas"), the rest is the C library's.

//!
//! A collection visits every object, and so touches nearly every page. The engine collects when the heap is half as large
//! again as after the last time, which right after loading is soon; short runs must not pay for that.

use deno_core::v8;

/// Strings of every length to here use every size of block that QuickJS cuts from arenas (up to 512 bytes with what is
/// stored in front); longer ones may not come from one.
const LONGEST: usize = 464;
/// Block sizes are multiples of this.
const STEP: usize = 8;
/// An arena is one page, less or more: when the C library hands out this much at once, QuickJS began a new one.
const ARENA: usize = 3_500;
/// Strings of one length, at most: a heap of this size has a few hundred holes of one size.
const MOST: usize = 1_024;

/// Bytes by which the heap is larger for a moment, so that the next collection comes only when a run has allocated more.
/// Half of the smallest heap that a config may ask for.
const BALLAST: usize = 8 << 20;

/// Collects now, and not again before a run allocated `BALLAST` and more.
pub(super) fn postpone_collection(scope: &mut v8::PinScope<'_, '_>) {
    v8::scope!(let scope, scope);
    // Let go with the scope.
    let _ballast = v8::String::new_from_one_byte(scope, &vec![b'x'; BALLAST], v8::NewStringType::Normal);
    // A new object is when the engine looks whether to collect; the next time is reckoned from what is there then.
    v8::Object::new(scope);
}

/// Takes every hole, for good; whole pages of nothing go back to the kernel, for what is not there need not be forked.
pub(super) fn fill(scope: &mut v8::PinScope<'_, '_>) {
    // SAFETY: gives free memory back; the process has one thread.
    unsafe { libc::malloc_trim(0) };
    fill_library();
    let text = [b'x'; LONGEST];
    for length in (0..=LONGEST).step_by(STEP) {
        let Some(text) = text.get(..length.max(1)) else { continue };
        for _ in 0..MOST {
            let before = in_use();
            v8::scope!(let scope, scope);
            let Some(string) = v8::String::new_from_one_byte(scope, text, v8::NewStringType::Normal) else { return };
            // The one that begins an arena is let go, and its arena with it.
            if in_use() >= before + ARENA {
                break;
            }
            std::mem::forget(v8::Global::new(scope, string));
        }
    }
    fill_library();
}

/// Bytes that the C library has handed out.
fn in_use() -> usize {
    // SAFETY: reads counters of the allocator.
    unsafe { libc::mallinfo2() }.uordblks
}

/// Takes every free chunk below the top of the C library's heap.
fn fill_library() {
    // SAFETY: counters, and the end of the heap.
    let top = unsafe { (libc::sbrk(0) as usize).saturating_sub(libc::mallinfo2().keepcost) };
    let large = (0..7).map(|power| (64 << 10) >> power);
    let small = (1..=64).rev().map(|step| step * 16 + 8);
    for size in large.chain(small).chain([1]) {
        loop {
            // SAFETY: the block is given back at once or, as is the point, never used and never given back.
            unsafe {
                let block = libc::malloc(size);
                if block.is_null() {
                    return;
                }
                // Compared with the top's header, which is two words before what it would hand out.
                if block as usize >= top {
                    libc::free(block);
                    break;
                }
            }
        }
    }
}
