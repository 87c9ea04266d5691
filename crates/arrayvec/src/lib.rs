//! Vectors of bounded length, with the name and the interface of the crate
//! [`arrayvec`](https://docs.rs/arrayvec), which keeps the elements in place.
//!
//! dimpl has a vector for 8 messages of a handshake, of 7 KB, in what it reads from each record, and moves that several
//! times although no record of the application has such a message: 4,000 instructions for each. `[patch.crates-io]` in
//! datasoup's Cargo.toml replaces the crate with this one, which has only what dimpl uses.

use std::fmt;
use std::ops::{Deref, DerefMut, RangeBounds};

/// Up to this many bytes, memory for all elements is allocated at once.
const SMALL: usize = 512;

/// A vector of at most `CAP` elements.
#[derive(Clone, PartialEq, Eq)]
pub struct ArrayVec<T, const CAP: usize>(Vec<T>);

/// There was no room for another element.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct CapacityError<T = ()>(T);

impl<T> CapacityError<T> {
    /// The element that there was no room for.
    pub fn element(self) -> T {
        self.0
    }
}

impl<T> fmt::Debug for CapacityError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CapacityError: insufficient capacity")
    }
}

impl<T, const CAP: usize> ArrayVec<T, CAP> {
    /// A vector without elements, which takes no memory.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Makes room for `additional` elements, if the capacity allows.
    #[inline]
    fn reserve(&mut self, additional: usize) -> Result<(), CapacityError> {
        if additional > CAP - self.0.len() {
            return Err(CapacityError(()));
        }
        if CAP * size_of::<T>() <= SMALL && self.0.capacity() == 0 {
            self.0 = Vec::with_capacity(CAP);
        }
        Ok(())
    }

    /// Adds an element. Panics when the vector is full.
    #[track_caller]
    #[inline]
    pub fn push(&mut self, element: T) {
        self.try_push(element).unwrap();
    }

    /// Adds an element, or returns it when the vector is full.
    #[inline]
    pub fn try_push(&mut self, element: T) -> Result<(), CapacityError<T>> {
        if self.reserve(1).is_err() {
            return Err(CapacityError(element));
        }
        self.0.push(element);
        Ok(())
    }

    /// The elements.
    pub fn as_slice(&self) -> &[T] {
        &self.0
    }

    /// Whether there is no room for another element.
    pub fn is_full(&self) -> bool {
        self.0.len() == CAP
    }

    /// Removes all elements.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// Removes the element at `index`, and moves those after it. Panics if there is none.
    #[track_caller]
    pub fn remove(&mut self, index: usize) -> T {
        self.0.remove(index)
    }

    /// Removes the elements for which `keep` returns false.
    pub fn retain(&mut self, keep: impl FnMut(&mut T) -> bool) {
        self.0.retain_mut(keep);
    }

    /// Removes the elements of a range, and returns them.
    pub fn drain(&mut self, range: impl RangeBounds<usize>) -> std::vec::Drain<'_, T> {
        self.0.drain(range)
    }

    /// Adds all elements or, when there is no room for all, none.
    #[inline]
    pub fn try_extend_from_slice(&mut self, elements: &[T]) -> Result<(), CapacityError>
    where
        T: Copy,
    {
        self.reserve(elements.len())?;
        self.0.extend_from_slice(elements);
        Ok(())
    }
}

impl<T, const CAP: usize> Deref for ArrayVec<T, CAP> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<T, const CAP: usize> DerefMut for ArrayVec<T, CAP> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.0
    }
}

impl<T, const CAP: usize> Default for ArrayVec<T, CAP> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: fmt::Debug, const CAP: usize> fmt::Debug for ArrayVec<T, CAP> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<T, const CAP: usize> FromIterator<T> for ArrayVec<T, CAP> {
    /// Panics if there are more than `CAP` elements.
    fn from_iter<I: IntoIterator<Item = T>>(elements: I) -> Self {
        let mut vector = Self::new();
        for element in elements {
            vector.push(element);
        }
        vector
    }
}

impl<T, const CAP: usize> IntoIterator for ArrayVec<T, CAP> {
    type Item = T;
    type IntoIter = std::vec::IntoIter<T>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'a, T, const CAP: usize> IntoIterator for &'a ArrayVec<T, CAP> {
    type Item = &'a T;
    type IntoIter = std::slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

impl<'a, T, const CAP: usize> IntoIterator for &'a mut ArrayVec<T, CAP> {
    type Item = &'a mut T;
    type IntoIter = std::slice::IterMut<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter_mut()
    }
}

impl<T, const CAP: usize> From<[T; CAP]> for ArrayVec<T, CAP> {
    fn from(elements: [T; CAP]) -> Self {
        Self(elements.into())
    }
}

impl<T: Copy, const CAP: usize> TryFrom<&[T]> for ArrayVec<T, CAP> {
    type Error = CapacityError;

    fn try_from(elements: &[T]) -> Result<Self, CapacityError> {
        let mut vector = Self::new();
        vector.try_extend_from_slice(elements)?;
        Ok(vector)
    }
}
