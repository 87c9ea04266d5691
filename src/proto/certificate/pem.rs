//! PEM, to and from DER.

use pem_rfc7468::LineEnding;

/// Encodes a DER certificate as PEM (RFC 7468 §5), with 64 characters and a line feed per line.
pub(crate) fn certificate_to_pem(der: &[u8]) -> String {
    // Encoding fails only for an invalid label, or if the length overflows `usize`.
    pem_rfc7468::encode_string("CERTIFICATE", LineEnding::LF, der).unwrap_or_default()
}

/// The PEM blocks of a text: label, and text from `-----BEGIN` to the end of `-----END …`.
pub(super) fn blocks(text: &str) -> impl Iterator<Item = (&str, &str)> {
    const BEGIN: &str = "-----BEGIN ";
    let mut rest = text;
    std::iter::from_fn(move || {
        let block = &rest[rest.find(BEGIN)?..];
        let after = &block[BEGIN.len()..];
        let label = &after[..after.find("-----")?];
        let end = format!("-----END {label}-----");
        let len = block.find(&end)? + end.len();
        rest = &block[len..];
        Some((label, &block[..len]))
    })
}

pub(super) fn decode(block: &str) -> Option<Vec<u8>> {
    let mut der = Vec::new();
    let mut decoder = pem_rfc7468::Decoder::new_detect_wrap(block.as_bytes()).ok()?;
    decoder.decode_to_end(&mut der).ok()?;
    Some(der)
}
