//! The reader of the fuzzer's bytes, which all targets use.

use std::time::Duration;

/// Bytes, read from the front. Zeros follow the end, so that every input is valid.
#[derive(Debug, Clone)]
pub(crate) struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn byte(&mut self) -> u8 {
        self.take(1).first().copied().unwrap_or(0)
    }

    pub(crate) fn u16(&mut self) -> u16 {
        u16::from_be_bytes([self.byte(), self.byte()])
    }

    pub(crate) fn u32(&mut self) -> u32 {
        u32::from(self.u16()) << 16 | u32::from(self.u16())
    }

    /// Takes `len` bytes, or all that are left.
    pub(crate) fn take(&mut self, len: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(len.min(self.0.len()));
        self.0 = rest;
        taken
    }

    /// Takes a length of two bytes and that many bytes.
    pub(crate) fn block(&mut self) -> &'a [u8] {
        let len = self.u16();
        self.take(len.into())
    }

    pub(crate) fn rest(&mut self) -> &'a [u8] {
        self.take(usize::MAX)
    }

    /// Takes a byte as a time of up to a minute. The steps grow, so that both short and long times occur.
    pub(crate) fn duration(&mut self) -> Duration {
        let byte = u64::from(self.byte());
        Duration::from_millis(if byte < 128 { byte } else { (byte - 127) * 470 })
    }
}
