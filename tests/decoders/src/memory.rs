//! How much memory a piece of work takes, counted by the allocator itself.
//!
//! A binary that wants to know makes [`Counting`] its global allocator; without that nothing is counted, and
//! [`counts`] says so. Each thread is counted by itself, so that tests beside each other do not disturb each other.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// The system's allocator, counting.
pub struct Counting;

/// What a decoder may take for an input: so many bytes of memory for each byte of the input, and so many beside.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Allowance {
    pub per_byte: usize,
    pub beside: usize,
}

impl Allowance {
    pub fn of(self, input_bytes: usize) -> usize {
        self.beside + self.per_byte * input_bytes
    }
}

/// Does the work and says how many bytes it held at its peak, beyond those held before. What it returns counts too.
pub fn measure<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let before = HELD.get();
    PEAK.set(before);
    let result = work();
    (result, usize::try_from(PEAK.get() - before).unwrap_or(0))
}

/// Does the work, which must keep to its allowance.
#[track_caller]
pub fn within<T>(allowance: Allowance, input_bytes: usize, work: impl FnOnce() -> T) -> T {
    let (result, taken) = measure(work);
    let allowed = allowance.of(input_bytes);
    assert!(
        taken <= allowed,
        "decoding {input_bytes} bytes took {taken} bytes of memory; allowed are {allowed}: {allowance:?}"
    );
    result
}

/// Whether this binary counts.
pub fn counts() -> bool {
    measure(|| std::hint::black_box(Vec::<u8>::with_capacity(1_000))).1 >= 1_000
}

thread_local! {
    static HELD: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
}

/// A thread that is ending counts no more.
fn add(bytes: isize) {
    let _ = HELD.try_with(|held| {
        held.set(held.get() + bytes);
        let _ = PEAK.try_with(|peak| peak.set(peak.get().max(held.get())));
    });
}

// SAFETY: every call is passed to the system's allocator as it came; counting touches no memory of its own.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        add(layout.size() as isize);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        unsafe { System.dealloc(pointer, layout) };
        add(-(layout.size() as isize));
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        add(layout.size() as isize);
        unsafe { System.alloc_zeroed(layout) }
    }

    /// Counted as if both were held for a moment, which they are when the block moves.
    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        add(new_size as isize);
        let moved = unsafe { System.realloc(pointer, layout, new_size) };
        add(-(layout.size() as isize));
        moved
    }
}
