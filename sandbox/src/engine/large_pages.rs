//! Puts the zygote's heap on large pages, for the sake of its forks.
//!
//! To fork is to write down again, page by page, what the parent has, and to exit is to strike that out again. Of a large page
//! (2 MiB on x86_64) the kernel keeps one account: to fork a process with 6 MiB of heap and to let it end took 126 us of
//! processor time on large pages and 330 us on small ones. A child that writes to one copies only the small page it wrote to.
//!
//! Where the kernel has no large pages to give, all works as before and takes longer.

/// Of x86_64.
const LARGE: usize = 2 << 20;
/// From here on the C library maps single blocks on their own: while the engine loads, what it needs only for that leaves
/// no large holes; afterwards, to map and unmap would cost a run more than it saves.
const MAPPED_ALONE_FIRST: libc::c_int = 128 << 10;
const MAPPED_ALONE: libc::c_int = 8 << 20;
/// What may lie free at the heap's end before the C library gives it back: a run would only ask for it again.
const KEPT_FREE: libc::c_int = 16 << 20;

/// The part of the heap that begins on a large page's boundary.
pub(super) struct LargePages {
    start: usize,
}

impl LargePages {
    /// Before anything large is on the heap.
    pub(super) fn begin() -> LargePages {
        // SAFETY: settings of the allocator, and a piece of heap that nobody uses; the process has one thread. The C library
        // copes with others who move the heap's end.
        unsafe {
            libc::mallopt(libc::M_MMAP_THRESHOLD, MAPPED_ALONE_FIRST);
            libc::mallopt(libc::M_TRIM_THRESHOLD, KEPT_FREE);
            let end = libc::sbrk(0) as usize;
            libc::sbrk((end.next_multiple_of(LARGE) - end) as libc::intptr_t);
            LargePages { start: libc::sbrk(0) as usize }
        }
    }

    /// When the heap is as the children get it.
    pub(super) fn collapse(&self) {
        // SAFETY: a block that is given back at once, so that the heap's last large page is all there. The advice leaves
        // what is in the pages as it is; where the kernel refuses it, they stay small.
        unsafe {
            libc::mallopt(libc::M_MMAP_THRESHOLD, MAPPED_ALONE);
            let used = libc::sbrk(0) as usize - libc::mallinfo2().keepcost;
            // What is not used at all a compiler may leave out.
            libc::free(std::hint::black_box(libc::malloc(2 * LARGE)));
            let mut page = self.start;
            // The last one takes more memory than it saves when little of it is in use.
            while page + LARGE / 4 <= used && page + LARGE <= libc::sbrk(0) as usize {
                libc::madvise(page as *mut libc::c_void, LARGE, libc::MADV_COLLAPSE);
                page += LARGE;
            }
        }
    }
}
