//! The checksums of SCTP and STUN by instructions of the processor, with the name and the interface
//! of the crate [`crc`](https://docs.rs/crc), which computes them with tables.
//!
//! sctp-proto and stun-types compute a checksum of each packet with `crc` and cannot be configured to
//! use another crate. `[patch.crates-io]` in datasoup's Cargo.toml replaces it with this one, which
//! has only what those two use.

use std::marker::PhantomData;

/// A checksum: one of the two that are used, of the whole catalogue of `crc`.
#[derive(Debug, Clone, Copy)]
pub struct Algorithm {
    /// Extends the checksum of the bytes so far with more bytes.
    append: fn(u32, &[u8]) -> u32,
}

/// CRC32c (Castagnoli) of SCTP: RFC 9260 Appendix A.
pub const CRC_32_ISCSI: Algorithm = Algorithm { append: crc32c::crc32c_append };

/// CRC-32 of the FINGERPRINT attribute of STUN: RFC 8489 §14.7.
pub const CRC_32_ISO_HDLC: Algorithm = Algorithm { append: crc32 };

/// The size of the tables in `crc`; this crate has none.
#[derive(Debug, Clone, Copy)]
pub struct Table<const LANES: usize>;

/// A computation of checksums.
#[derive(Debug, Clone, Copy)]
pub struct Crc<W, I = Table<1>> {
    algorithm: &'static Algorithm,
    parameters: PhantomData<(W, I)>,
}

impl<I> Crc<u32, I> {
    /// Computes the checksums of this algorithm.
    pub const fn new(algorithm: &'static Algorithm) -> Self {
        Self { algorithm, parameters: PhantomData }
    }

    /// Begins a checksum.
    pub const fn digest(&self) -> Digest {
        Digest { algorithm: self.algorithm, value: 0 }
    }
}

/// The checksum of the bytes so far.
#[derive(Debug, Clone)]
pub struct Digest {
    algorithm: &'static Algorithm,
    value: u32,
}

impl Digest {
    /// Adds `bytes`.
    pub fn update(&mut self, bytes: &[u8]) {
        self.value = (self.algorithm.append)(self.value, bytes);
    }

    /// The checksum.
    pub const fn finalize(self) -> u32 {
        self.value
    }
}

fn crc32(before: u32, bytes: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new_with_initial(before);
    hasher.update(bytes);
    hasher.finalize()
}
