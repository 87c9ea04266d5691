//! An allocator that counts the heap of each thread. Blocks have no header, so that AddressSanitizer sees accesses
//! just outside of a block. A count per thread is enough: every test has a thread of its own, and the code under test
//! starts no other threads.

#![allow(unsafe_code, reason = "a global allocator")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

thread_local! {
    static LIVE: Cell<i64> = const { Cell::new(0) };
    static ALLOCATED: Cell<i64> = const { Cell::new(0) };
}

/// The bytes that this thread has allocated, less those that it has freed.
pub(crate) fn live() -> i64 {
    LIVE.get()
}

/// The bytes that this thread has ever allocated: a measure of work that is the same on any machine.
#[allow(dead_code, reason = "not every test counts work")]
pub(crate) fn allocated() -> i64 {
    ALLOCATED.get()
}

fn add(bytes: i64) {
    LIVE.set(LIVE.get() + bytes);
    ALLOCATED.set(ALLOCATED.get() + bytes.max(0));
}

// SAFETY: every method passes its arguments to `System` unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as the caller promises.
        let block = unsafe { System.alloc(layout) };
        if !block.is_null() {
            add(layout.size() as i64);
        }
        block
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        add(-(layout.size() as i64));
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: as the caller promises.
        let block = unsafe { System.realloc(pointer, layout, size) };
        if !block.is_null() {
            add(size as i64 - layout.size() as i64);
        }
        block
    }
}
