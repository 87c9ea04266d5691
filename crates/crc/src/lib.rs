//! The checksums of SCTP and of STUN by instructions of the processor, under the name and with the
//! interface of the crate [`crc`](https://docs.rs/crc), which computes them with tables.
//!
//! sctp-proto and stun-types compute a checksum over each packet and have no setting for how.
//! `[patch.crates-io]` in datasoup's Cargo.toml puts this crate in the place of the other one. It has
//! what those two use and no more: anything else does not compile.

use std::marker::PhantomData;

/// Which checksum: of the whole catalogue of `crc`, the two that are used.
#[derive(Debug, Clone, Copy)]
pub struct Algorithm {
    /// The checksum of what came before, and what comes now.
    append: fn(u32, &[u8]) -> u32,
}

/// CRC32c (Castagnoli) of SCTP: RFC 9260 Appendix A.
pub const CRC_32_ISCSI: Algorithm = Algorithm { append: crc32c::crc32c_append };

/// CRC-32 of the FINGERPRINT attribute of STUN: RFC 8489 §14.7.
pub const CRC_32_ISO_HDLC: Algorithm = Algorithm { append: crc32 };

/// There the size of the tables; here there are none.
#[derive(Debug, Clone, Copy)]
pub struct Table<const LANES: usize>;

/// A way to compute checksums.
#[derive(Debug, Clone, Copy)]
pub struct Crc<W, I = Table<1>> {
    algorithm: &'static Algorithm,
    parameters: PhantomData<(W, I)>,
}

impl<I> Crc<u32, I> {
    /// By this algorithm.
    pub const fn new(algorithm: &'static Algorithm) -> Self {
        Self { algorithm, parameters: PhantomData }
    }

    /// A checksum of what is still to come.
    pub const fn digest(&self) -> Digest {
        Digest { algorithm: self.algorithm, value: 0 }
    }
}

/// The checksum of what has come so far.
#[derive(Debug, Clone)]
pub struct Digest {
    algorithm: &'static Algorithm,
    value: u32,
}

impl Digest {
    /// Goes on with `bytes`.
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
