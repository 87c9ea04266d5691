//! The certificate of a worker, and the fingerprints that authenticate peers.
//!
//! WebRTC has no certificate authority. Each side sends the hash of its certificate over the
//! signalling channel (RFC 8122 §5), and the certificate in the handshake must have one of the hashes
//! that were received (RFC 8827 §6.5).

mod fingerprint;
mod pem;

use std::fmt;

use dimpl::crypto::{Buf, SignatureAlgorithm};
use dimpl::{CryptoError, DtlsCertificate};
use thiserror::Error;

pub use fingerprint::{Fingerprint, FingerprintAlgorithm};
pub(crate) use pem::certificate_to_pem;

/// A certificate and its private key: ECDSA on P-256 or P-384. One per worker.
#[derive(Clone)]
pub struct Certificate(DtlsCertificate);

/// Why a certificate was rejected or not made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum CertificateError {
    /// The text has no `CERTIFICATE` block, or one that cannot be parsed.
    #[error("the certificate is not readable PEM")]
    UnreadableCertificate,
    /// The text has no unencrypted `PRIVATE KEY` or `EC PRIVATE KEY` block.
    #[error("the private key is not readable PEM (PKCS#8 or SEC1, without a passphrase)")]
    UnreadableKey,
    /// The key is an RSA key.
    #[error("RSA keys are not supported, use an ECDSA key on the curve P-256 or P-384")]
    Rsa,
    /// The key is invalid, or not ECDSA on one of the two curves.
    #[error("the private key is not an ECDSA key on the curve P-256 or P-384")]
    UnsupportedKey,
    /// The certificate belongs to another key.
    #[error("the private key does not match the certificate")]
    Mismatch,
    /// The system has no randomness.
    #[error("a certificate could not be generated: the system has no randomness")]
    Generate,
}

impl Certificate {
    /// Makes a self-signed certificate with a new key on P-256.
    pub fn generate() -> Result<Self, CertificateError> {
        dimpl::certificate::generate_self_signed_certificate()
            .map(Self)
            .map_err(|_| CertificateError::Generate)
    }

    /// Reads the first certificate of `cert_pem` and the first private key of `key_pem`, PKCS#8
    /// (`PRIVATE KEY`) or SEC1 (`EC PRIVATE KEY`); other blocks and text around them are skipped.
    pub fn from_pem(cert_pem: &str, key_pem: &str) -> Result<Self, CertificateError> {
        let certificate = pem::blocks(cert_pem)
            .find(|(label, _)| *label == "CERTIFICATE")
            .and_then(|(_, block)| pem::decode(block))
            .ok_or(CertificateError::UnreadableCertificate)?;
        let (label, block) = pem::blocks(key_pem)
            .find(|(label, _)| label.ends_with("PRIVATE KEY"))
            .ok_or(CertificateError::UnreadableKey)?;
        let private_key = match label {
            "PRIVATE KEY" | "EC PRIVATE KEY" => {
                pem::decode(block).ok_or(CertificateError::UnreadableKey)?
            }
            "RSA PRIVATE KEY" => return Err(CertificateError::Rsa),
            _ => return Err(CertificateError::UnreadableKey),
        };
        if is_pkcs8_rsa(&private_key) {
            return Err(CertificateError::Rsa);
        }
        check_pair(&certificate, &private_key)?;
        Ok(Self(DtlsCertificate { certificate, private_key }))
    }

    /// The certificate as DER.
    pub fn der(&self) -> &[u8] {
        &self.0.certificate
    }

    /// The certificate as PEM.
    pub fn pem(&self) -> String {
        certificate_to_pem(self.der())
    }

    /// The fingerprints of the certificate, weakest algorithm first.
    pub fn fingerprints(&self) -> Vec<Fingerprint> {
        FingerprintAlgorithm::ALL.map(|algorithm| Fingerprint::of(algorithm, self.der())).into()
    }

    /// The certificate with its key, as the DTLS engine takes them.
    pub(super) fn to_engine(&self) -> DtlsCertificate {
        self.0.clone()
    }
}

/// Shows the fingerprint, but not the key.
impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fingerprint = Fingerprint::of(FingerprintAlgorithm::Sha256, self.der());
        f.debug_tuple("Certificate").field(&fingerprint.value).finish()
    }
}

/// Whether a PKCS#8 key has the algorithm `rsaEncryption` (RFC 5958 §2). The algorithm follows two
/// sequence headers and a version, so a search of the first bytes finds it without a parser.
fn is_pkcs8_rsa(private_key: &[u8]) -> bool {
    /// OBJECT IDENTIFIER 1.2.840.113549.1.1.1.
    const RSA_ENCRYPTION: [u8; 11] = *b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01";
    const HEADERS: usize = 16;
    let start = &private_key[..private_key.len().min(HEADERS + RSA_ENCRYPTION.len())];
    start.windows(RSA_ENCRYPTION.len()).any(|window| window == RSA_ENCRYPTION)
}

/// Checks that the certificate belongs to the key. As in a handshake, the key signs and the certificate
/// verifies.
fn check_pair(certificate: &[u8], private_key: &[u8]) -> Result<(), CertificateError> {
    const PROBE: &[u8] = b"does this key belong to this certificate?";
    let crypto = dimpl::crypto::aws_lc_rs::default_provider();
    let mut key = crypto
        .key_provider
        .load_private_key(private_key)
        .map_err(|_| CertificateError::UnsupportedKey)?;
    let hash = key.hash_algorithm();
    let mut signature = Buf::new();
    key.sign(PROBE, hash, &mut signature).map_err(|_| CertificateError::UnsupportedKey)?;
    crypto
        .signature_verification
        .verify_signature(certificate, PROBE, &signature, hash, SignatureAlgorithm::ECDSA)
        .map_err(|error| match error {
            CryptoError::CertificateParseFailed => CertificateError::UnreadableCertificate,
            _ => CertificateError::Mismatch,
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    // Made with openssl for these tests only.
    const CERT_P256: &str = "\
-----BEGIN CERTIFICATE-----
MIIBbzCCARWgAwIBAgIUI1d2mZSrbvn1aSrZiPkgN7bRBt8wCgYIKoZIzj0EAwIw
DDEKMAgGA1UEAwwBYTAgFw0yNjExMjIxMjU2MTdaGA8yMTI2MTAyOTEyNTYxN1ow
DDEKMAgGA1UEAwwBYTBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABBE4Vle9cS9S
juIaupkqq8Yn/0Dkj7ESoSrwasMwJ2cpiUCAOKolqjhYnTEiI4+9EuWltQN4hIMB
hnhFYxofUV6jUzBRMB0GA1UdDgQWBBQU39mC02gQOyrZuOlzHqEq+ZXy+DAfBgNV
HSMEGDAWgBQU39mC02gQOyrZuOlzHqEq+ZXy+DAPBgNVHRMBAf8EBTADAQH/MAoG
CCqGSM49BAMCA0gAMEUCIQCLKvCcO6j8UN74j0h37NzVe/DFGnWWBT138oyRbtrt
1AIgR1A4Zr0PEO/KANRvCT0ZrL8f7rE1qfa1Ok+NWZfjwkc=
-----END CERTIFICATE-----
";
    const KEY_P256_SEC1: &str = "\
-----BEGIN EC PARAMETERS-----
BggqhkjOPQMBBw==
-----END EC PARAMETERS-----
-----BEGIN EC PRIVATE KEY-----
MHcCAQEEIBA2nz8BN+fddfVjwmvghTO+xM7hpyRLxEbvx0DkXP0OoAoGCCqGSM49
AwEHoUQDQgAEEThWV71xL1KO4hq6mSqrxif/QOSPsRKhKvBqwzAnZymJQIA4qiWq
OFidMSIjj70S5aW1A3iEgwGGeEVjGh9RXg==
-----END EC PRIVATE KEY-----
";
    const KEY_P256_PKCS8: &str = "\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgEDafPwE359119WPC
a+CFM77EzuGnJEvERu/HQORc/Q6hRANCAAQROFZXvXEvUo7iGrqZKqvGJ/9A5I+x
EqEq8GrDMCdnKYlAgDiqJao4WJ0xIiOPvRLlpbUDeISDAYZ4RWMaH1Fe
-----END PRIVATE KEY-----
";
    const CERT_P384: &str = "\
-----BEGIN CERTIFICATE-----
MIIBqzCCATKgAwIBAgIUTJTRdHHvYS93OyDDrjzxZREryeUwCgYIKoZIzj0EAwIw
DDEKMAgGA1UEAwwBYTAgFw0yNjExMjIxMjU2MTdaGA8yMTI2MTAyOTEyNTYxN1ow
DDEKMAgGA1UEAwwBYTB2MBAGByqGSM49AgEGBSuBBAAiA2IABKUhdDY3cgOPIVIN
DaAMBGD9uxzWVzesCouYx+oCYzl2k8mJf1OEI4JeOPFmBubzM/PLNqIN3VPA+EaN
Fl4xN7i/g47pkXpATFL0a/6/2D2u89fNW1/f7Go6N2gxcdgkOaNTMFEwHQYDVR0O
BBYEFLg8QiXtFJyk1L204Ztu+A8gY475MB8GA1UdIwQYMBaAFLg8QiXtFJyk1L20
4Ztu+A8gY475MA8GA1UdEwEB/wQFMAMBAf8wCgYIKoZIzj0EAwIDZwAwZAIwMRP9
CiusdUDS4pr2ma59fRXe158u7mJ3a9wLeiEJ8Iy2tWi46e5VRdXgjVEGfa3OAjAA
uVmQEObEKb0fAdbQ3sbacEZ97/Us6clGXU7vC9tz7l9E0a641c4K1V2YKn0+DXc=
-----END CERTIFICATE-----
";
    const KEY_P384_SEC1: &str = "\
-----BEGIN EC PRIVATE KEY-----
MIGkAgEBBDDdTITI4Cg+GMJBIwE0+rqy4ItA0Q9kcUutblVFyUYIdQK9qoYgfYrp
OQgHV75O1BSgBwYFK4EEACKhZANiAASlIXQ2N3IDjyFSDQ2gDARg/bsc1lc3rAqL
mMfqAmM5dpPJiX9ThCOCXjjxZgbm8zPzyzaiDd1TwPhGjRZeMTe4v4OO6ZF6QExS
9Gv+v9g9rvPXzVtf3+xqOjdoMXHYJDk=
-----END EC PRIVATE KEY-----
";
    const KEY_ED25519: &str = "\
-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIHUQFEqLW+WN/sAuN7HI8Gd39RNxuBVoY+QhDRGmWa/H
-----END PRIVATE KEY-----
";

    fn error(cert_pem: &str, key_pem: &str) -> CertificateError {
        Certificate::from_pem(cert_pem, key_pem).expect_err("the pair is wrong")
    }

    #[test]
    fn reads_pkcs8_and_sec1_keys() {
        for (cert, key) in
            [(CERT_P256, KEY_P256_PKCS8), (CERT_P256, KEY_P256_SEC1), (CERT_P384, KEY_P384_SEC1)]
        {
            let certificate = Certificate::from_pem(cert, key).expect("a good pair");
            assert_eq!(certificate.pem(), cert, "what goes in comes out");
        }
    }

    #[test]
    fn skips_text_around_the_blocks_and_accepts_windows_line_ends() {
        let cert = format!("Certificate:\n    Data: é\n{CERT_P256}\n{CERT_P384}");
        let certificate = Certificate::from_pem(&cert, KEY_P256_PKCS8).expect("a good pair");
        assert_eq!(certificate.pem(), CERT_P256, "the first certificate is the leaf");
        let cert = CERT_P256.replace('\n', "\r\n");
        let key = KEY_P256_PKCS8.replace('\n', "\r\n");
        Certificate::from_pem(&cert, &key).expect("a good pair");
        Certificate::from_pem(CERT_P256, &format!("{CERT_P256}{KEY_P256_PKCS8}")).expect("a pair");
    }

    #[test]
    fn each_kind_of_bad_input_has_its_error() {
        use CertificateError::*;
        let generated = Certificate::generate().expect("a certificate").pem();
        for bad in ["", "é", "-----BEGIN CERTIFICATE-----", KEY_P256_PKCS8, "-----BEGIN ----------"]
        {
            assert_eq!(error(bad, KEY_P256_PKCS8), UnreadableCertificate, "{bad}");
        }
        assert_eq!(error(&CERT_P256.replace('A', "*"), KEY_P256_PKCS8), UnreadableCertificate);
        let garbage = certificate_to_pem(&[7; 300]);
        assert_eq!(error(&garbage, KEY_P256_PKCS8), UnreadableCertificate);

        assert_eq!(error(CERT_P256, ""), UnreadableKey);
        assert_eq!(error(CERT_P256, CERT_P256), UnreadableKey);
        assert_eq!(error(CERT_P256, &KEY_P256_PKCS8.replace('M', "*")), UnreadableKey);
        let encrypted = KEY_P256_PKCS8.replace("PRIVATE", "ENCRYPTED PRIVATE");
        assert_eq!(error(CERT_P256, &encrypted), UnreadableKey);

        assert_eq!(error(CERT_P256, KEY_ED25519), UnsupportedKey);
        let garbage = garbage.replace("CERTIFICATE", "PRIVATE KEY");
        assert_eq!(error(CERT_P256, &garbage), UnsupportedKey);

        assert_eq!(error(CERT_P384, KEY_P256_PKCS8), Mismatch);
        assert_eq!(error(CERT_P256, KEY_P384_SEC1), Mismatch);
        assert_eq!(error(&generated, KEY_P256_SEC1), Mismatch);
    }

    #[test]
    fn an_rsa_key_is_rejected_with_advice_to_use_ecdsa() {
        let pkcs1 = "-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----\n";
        // SEQUENCE { INTEGER 0, SEQUENCE { OBJECT IDENTIFIER rsaEncryption, NULL }, … } of 1213 bytes.
        let mut der = b"\x30\x82\x04\xbd\x02\x01\x00\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00"
            .to_vec();
        der.resize(1217, 0);
        let pkcs8 = certificate_to_pem(&der).replace("CERTIFICATE", "PRIVATE KEY");
        for key in [pkcs1, &pkcs8] {
            assert_eq!(error(CERT_P256, key), CertificateError::Rsa);
        }
        assert!(CertificateError::Rsa.to_string().contains("ECDSA"));
    }

    #[test]
    fn fingerprints_equal_those_of_openssl() {
        let certificate = Certificate::from_pem(CERT_P256, KEY_P256_PKCS8).expect("a good pair");
        let expected = [
            ("sha-1", "07:36:2E:F1:F3:98:21:13:03:DE:21:D9:B6:61:56:3C:47:AE:6D:EA"),
            (
                "sha-224",
                "6C:51:F7:7E:29:F2:C2:2F:D5:94:22:75:46:CC:43:08:CB:0E:B8:BB:CE:69:7D:18:\
             D9:00:9C:1E",
            ),
            (
                "sha-256",
                "95:64:52:AF:C0:63:7D:12:83:41:5D:0A:9F:DF:3B:50:84:9A:E3:EC:0D:F3:F1:77:\
             9B:3D:7D:0E:D4:56:4E:B9",
            ),
            (
                "sha-384",
                "E6:8A:85:D9:F5:FE:F1:08:FC:F4:0A:36:45:5A:1B:21:9C:58:6C:EA:04:C9:47:7D:\
             1C:F1:BB:0E:E3:9A:1C:B5:B0:81:94:D0:17:A4:A9:03:C2:7A:12:16:85:6E:83:3B",
            ),
            (
                "sha-512",
                "7D:5A:74:EC:47:EE:D6:18:25:41:68:0D:33:0A:12:0F:05:1A:7F:53:7C:9B:38:E6:\
             E8:BB:53:71:FA:52:42:BD:EE:F5:18:2E:1B:76:6F:18:3D:27:79:BC:E9:E0:B1:3E:\
             C9:2A:2E:76:D6:72:C8:48:30:5F:0A:C5:C3:23:90:E7",
            ),
        ];
        let fingerprints = certificate.fingerprints();
        assert_eq!(fingerprints.len(), expected.len());
        for (fingerprint, (algorithm, value)) in fingerprints.iter().zip(expected) {
            let json = serde_json::json!({ "algorithm": algorithm, "value": value });
            assert_eq!(serde_json::to_value(fingerprint).expect("JSON"), json);
        }
    }

    #[test]
    fn fingerprints_match_in_either_case_and_only_in_full() {
        let certificate = Certificate::generate().expect("a certificate");
        let other = Certificate::generate().expect("a certificate");
        for fingerprint in certificate.fingerprints() {
            let with = |value: &str| Fingerprint { value: value.to_owned(), ..fingerprint.clone() };
            let value = &fingerprint.value;
            assert!(fingerprint.matches(certificate.der()));
            assert!(with(&value.to_lowercase()).matches(certificate.der()));
            assert!(!fingerprint.matches(other.der()));
            assert!(!fingerprint.matches(&[]));
            assert!(!with("").matches(certificate.der()));
            assert!(!with(&value[..value.len() - 3]).matches(certificate.der()));
            assert!(!with(&format!("{value}:00")).matches(certificate.der()));
            assert!(!with(&value.replace(':', "")).matches(certificate.der()));
        }
    }

    #[test]
    fn unknown_algorithms_do_not_parse() {
        let json = r#"{"algorithm":"sha-999","value":"00"}"#;
        assert!(serde_json::from_str::<Fingerprint>(json).is_err());
    }

    #[test]
    fn debug_shows_nothing_of_the_key() {
        let certificate = Certificate::from_pem(CERT_P256, KEY_P256_PKCS8).expect("a good pair");
        assert!(format!("{certificate:?}").starts_with("Certificate(\"95:64:52"));
    }
}
