//! Fingerprints of certificates.

use aws_lc_rs::digest;
use serde::{Deserialize, Serialize};

/// The hash of a certificate, as in `a=fingerprint` of SDP (RFC 8122 §5).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fingerprint {
    /// The hash function.
    pub algorithm: FingerprintAlgorithm,
    /// The hash in hex with colons between the bytes. Our own value is in upper case; a peer's may be in either case.
    pub value: String,
}

impl Fingerprint {
    /// Returns the fingerprint of a DER certificate.
    pub fn of(algorithm: FingerprintAlgorithm, certificate: &[u8]) -> Self {
        let hash = digest::digest(algorithm.function(), certificate);
        let hex: Vec<String> = hash.as_ref().iter().map(|byte| format!("{byte:02X}")).collect();
        Self { algorithm, value: hex.join(":") }
    }

    /// Whether `certificate` (DER) has this fingerprint. A value of the wrong length or form matches
    /// no certificate.
    pub fn matches(&self, certificate: &[u8]) -> bool {
        Self::of(self.algorithm, certificate).value.eq_ignore_ascii_case(&self.value)
    }
}

/// A hash function for fingerprints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum FingerprintAlgorithm {
    /// SHA-1.
    #[serde(rename = "sha-1")]
    Sha1,
    /// SHA-224.
    #[serde(rename = "sha-224")]
    Sha224,
    /// SHA-256.
    #[serde(rename = "sha-256")]
    Sha256,
    /// SHA-384.
    #[serde(rename = "sha-384")]
    Sha384,
    /// SHA-512.
    #[serde(rename = "sha-512")]
    Sha512,
}

impl FingerprintAlgorithm {
    /// All hash functions, weakest first.
    pub const ALL: [Self; 5] = [Self::Sha1, Self::Sha224, Self::Sha256, Self::Sha384, Self::Sha512];

    fn function(self) -> &'static digest::Algorithm {
        match self {
            Self::Sha1 => &digest::SHA1_FOR_LEGACY_USE_ONLY,
            Self::Sha224 => &digest::SHA224,
            Self::Sha256 => &digest::SHA256,
            Self::Sha384 => &digest::SHA384,
            Self::Sha512 => &digest::SHA512,
        }
    }
}
