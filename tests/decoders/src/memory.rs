//! Measures the memory use of a piece of work, counted by the allocator.
//!
//! A binary that measures memory makes [`Counting`] its global allocator. Without it nothing is counted, and [`counts`]
//! returns `false`. Each thread is counted separately, so parallel tests do not disturb each other.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// The system's allocator, with counting.
pub struct Counting;

/// The memory that a decoder may hold: a number of bytes per byte of input, plus a constant number of bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Allowance {
    pub per_byte: usize,
    pub beside: usize,
}

impl Allowance {
    /// The allowance for an input of this size, in bytes.
    pub fn of(self, input_bytes: usize) -> usize {
        self.beside + self.per_byte * input_bytes
    }
}

/// Runs the work and returns its peak memory use in bytes, beyond the memory held before. The result of the work counts
/// too.
pub fn measure<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let before = HELD.get();
    PEAK.set(before);
    let result = work();
    (result, usize::try_from(PEAK.get() - before).unwrap_or(0))
}

/// Runs the work. Panics if it exceeds its allowance.
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

/// Whether this binary counts memory.
pub fn counts() -> bool {
    measure(|| std::hint::black_box(Vec::<u8>::with_capacity(1_000))).1 >= 1_000
}

thread_local! {
    static HELD: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
}

/// A thread that is ending is no longer counted.
fn add(bytes: isize) {
    let _ = HELD.try_with(|held| {
        held.set(held.get() + bytes);
        let _ = PEAK.try_with(|peak| peak.set(peak.get().max(held.get())));
    });
}

// SAFETY: every call is passed to the system's allocator unchanged; counting does not touch the memory.
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

    /// Both blocks are counted for a moment, as when the block moves.
    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        add(new_size as isize);
        let moved = unsafe { System.realloc(pointer, layout, new_size) };
        add(-(layout.size() as isize));
        moved
    }
}
