//! An allocator that attributes blocks to the worker: those allocated within [`ours`], wherever they are freed. A
//! header in front of each block holds its owner. Counts are per thread: every test has a thread of its own, and the
//! code under test starts no other threads.

#![allow(unsafe_code, reason = "a global allocator")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::backtrace::Backtrace;
use std::cell::Cell;

/// The code that allocates a block, directly or through a library such as `bytes`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Owner {
    SctpProto,
    Dimpl,
    /// `src/proto`.
    Proto,
    /// `src/sfu`.
    Sfu,
    /// Other code, or code that ran outside of [`attributed`].
    Unknown,
}

const OWNERS: [Owner; 5] =
    [Owner::SctpProto, Owner::Dimpl, Owner::Proto, Owner::Sfu, Owner::Unknown];

/// A number for each [`Owner`].
pub(crate) type ByOwner = [i64; OWNERS.len()];

/// What the worker has allocated on this thread since its start.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Count {
    /// Allocations and reallocations.
    pub(crate) allocations: ByOwner,
    /// Bytes that are not freed yet.
    pub(crate) live: ByOwner,
}

impl Count {
    const ZERO: Self = Self { allocations: [0; OWNERS.len()], live: [0; OWNERS.len()] };

    /// What has been counted since `before`.
    pub(crate) fn since(self, before: Self) -> Self {
        let less = |after: ByOwner, before: ByOwner| std::array::from_fn(|i| after[i] - before[i]);
        Self {
            allocations: less(self.allocations, before.allocations),
            live: less(self.live, before.live),
        }
    }
}

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

thread_local! {
    static INSIDE: Cell<bool> = const { Cell::new(false) };
    static ATTRIBUTED: Cell<bool> = const { Cell::new(false) };
    static COUNT: Cell<Count> = const { Cell::new(Count::ZERO) };
}

/// Runs a part of the worker, and counts the blocks that it allocates as the worker's.
pub(crate) fn ours<R>(run: impl FnOnce() -> R) -> R {
    let before = INSIDE.replace(true);
    let result = run();
    INSIDE.set(before);
    result
}

/// Runs `run` and finds the owner of each allocation of the worker, which is slow.
pub(crate) fn attributed<R>(run: impl FnOnce() -> R) -> R {
    with_attribution(true, run)
}

/// Runs a part of an [`attributed`] call without finding owners, to save time.
pub(crate) fn unattributed<R>(run: impl FnOnce() -> R) -> R {
    with_attribution(false, run)
}

fn with_attribution<R>(on: bool, run: impl FnOnce() -> R) -> R {
    let before = ATTRIBUTED.replace(on);
    let result = run();
    ATTRIBUTED.set(before);
    result
}

/// What has been counted on this thread.
pub(crate) fn count() -> Count {
    COUNT.get()
}

/// The bytes of the worker that are not freed yet.
pub(crate) fn live() -> i64 {
    count().live.iter().sum()
}

fn allocated(owner: Owner, bytes: usize) {
    let mut count = COUNT.get();
    count.allocations[owner as usize] += 1;
    count.live[owner as usize] += bytes as i64;
    COUNT.set(count);
}

fn freed(owner: Owner, bytes: usize) {
    let mut count = COUNT.get();
    count.live[owner as usize] -= bytes as i64;
    COUNT.set(count);
}

impl Owner {
    /// The owner of the innermost known caller.
    fn of_caller() -> Self {
        if !ATTRIBUTED.get() {
            return Self::Unknown;
        }
        let inside = INSIDE.replace(false);
        let backtrace = Backtrace::force_capture().to_string();
        let owner = backtrace
            .lines()
            .find_map(|line| Self::of_path(line.trim_start().strip_prefix("at ")?));
        drop(backtrace);
        INSIDE.set(inside);
        owner.unwrap_or(Self::Unknown)
    }

    fn of_path(path: &str) -> Option<Self> {
        if path.contains("/sctp-proto-") {
            return Some(Self::SctpProto);
        }
        if path.contains("/dimpl-") {
            return Some(Self::Dimpl);
        }
        let path = path
            .strip_prefix("./")
            .or_else(|| path.strip_prefix(concat!(env!("CARGO_MANIFEST_DIR"), "/")))?;
        match path.split('/').nth(1)? {
            "proto" if path.starts_with("src/") => Some(Self::Proto),
            "sfu" if path.starts_with("src/") => Some(Self::Sfu),
            _ => None,
        }
    }
}

/// The size of the header in front of a block.
fn header(layout: Layout) -> usize {
    layout.align().max(16)
}

fn with_header(layout: Layout) -> Layout {
    let header = header(layout);
    // The sum overflows only for a block larger than the address space, which no program can allocate.
    Layout::from_size_align(header + layout.size(), header).unwrap_or(layout)
}

/// The content of a header: 0 if the block is not the worker's, else one more than its owner.
fn mark(owner: Option<Owner>) -> u8 {
    owner.map_or(0, |owner| owner as u8 + 1)
}

fn marked(mark: u8) -> Option<Owner> {
    OWNERS.get(usize::from(mark).checked_sub(1)?).copied()
}

// SAFETY: every block is one of `System` that begins with a header. The header's size is a multiple of the alignment,
// so the block after the header is aligned, too. All calls compute their layouts in the same way.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the size is not zero, because it includes the header.
        let block = unsafe { System.alloc(with_header(layout)) };
        if block.is_null() {
            return block;
        }
        let owner = INSIDE.get().then(Owner::of_caller);
        if let Some(owner) = owner {
            allocated(owner, layout.size());
        }
        // SAFETY: the block begins with its header.
        unsafe {
            block.write(mark(owner));
            block.add(header(layout))
        }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the header is in front of what `alloc` has returned.
        unsafe {
            let block = pointer.sub(header(layout));
            if let Some(owner) = marked(block.read()) {
                freed(owner, layout.size());
            }
            System.dealloc(block, with_header(layout));
        }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: as above; `realloc` keeps the header, and the new size is not zero.
        unsafe {
            let header = header(layout);
            let block = pointer.sub(header);
            let owner = marked(block.read());
            let block = System.realloc(block, with_header(layout), header + size);
            if block.is_null() {
                return block;
            }
            if let Some(owner) = owner {
                freed(owner, layout.size());
                // The code that grows a block becomes its owner.
                let owner = Owner::of_caller();
                allocated(owner, size);
                block.write(mark(Some(owner)));
            }
            block.add(header)
        }
    }
}
