//! Why a session fails, as applications see it, and the alert that the peer gets.

use dimpl::{CertificateError, CryptoError, Error, SecurityError};

use super::record::Alert;
use crate::proto::certificate::{Fingerprint, FingerprintAlgorithm};
use crate::proto::reason::{Code, Reason};

/// How far a session had come.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stage {
    /// Whether we are the client.
    pub(super) is_client: bool,
    pub(super) is_connected: bool,
    /// Whether the peer has sent anything.
    pub(super) has_heard: bool,
}

/// Alerts of a peer (RFC 5246 §7.2).
mod alert {
    pub(super) const UNEXPECTED_MESSAGE: u8 = 10;
    pub(super) const HANDSHAKE_FAILURE: u8 = 40;
    pub(super) const BAD_CERTIFICATE: u8 = 42;
    pub(super) const CERTIFICATE_UNKNOWN: u8 = 46;
    pub(super) const UNKNOWN_CA: u8 = 48;
    pub(super) const ACCESS_DENIED: u8 = 49;
}

/// The reason for an error of the engine.
pub(super) fn of_engine(error: &Error, stage: Stage) -> Reason {
    match error {
        Error::SecurityError(SecurityError::FatalAlert { description }) => {
            of_alert(*description, stage)
        }
        _ if stage.is_connected => {
            Reason::new(Code::ProtocolViolation, format!("the DTLS session failed: {error}"))
        }
        Error::CertificateError(
            CertificateError::NoClientCertificateReceived
            | CertificateError::NoServerCertificateReceived,
        ) => no_certificate(),
        Error::CertificateError(_) | Error::CryptoError(_) if is_about_the_certificate(error) => {
            let text = "the peer's certificate is not ECDSA on P-256 or P-384";
            Reason::new(Code::CertificateUnsupported, format!("{text} ({error})"))
        }
        Error::SecurityError(SecurityError::NoMutuallyAcceptableCipherSuite) => Reason::new(
            Code::CertificateUnsupported,
            "the peer offers no cipher suite that works with ECDSA certificates",
        ),
        _ => Reason::new(Code::HandshakeFailed, format!("the DTLS handshake failed: {error}")),
    }
}

/// Whether the error means that the engine cannot verify signatures of the certificate's kind.
fn is_about_the_certificate(error: &Error) -> bool {
    match error {
        Error::CertificateError(_) => true,
        Error::CryptoError(error) => matches!(
            error,
            CryptoError::UnsupportedSignatureAlgorithm(_)
                | CryptoError::SignatureAlgorithmMismatch { .. }
                | CryptoError::UnsupportedSignaturePair { .. }
                | CryptoError::UnsupportedSignatureVerification { .. }
                | CryptoError::UnsupportedPublicKeyAlgorithm
                | CryptoError::UnsupportedEcCurve
                | CryptoError::CertificateParseFailed
                | CryptoError::MissingEcCurveParameter
                | CryptoError::InvalidEcCurveParameter
                | CryptoError::InvalidSubjectPublicKey
        ),
        _ => false,
    }
}

/// Whether the engine reports this error only for a client that has returned its cookie.
pub(super) fn is_of_proved_client(error: &Error) -> bool {
    matches!(
        error,
        Error::SecurityError(
            SecurityError::NoMutuallyAcceptableCipherSuite
                | SecurityError::ExtendedMasterSecretNotNegotiated
                | SecurityError::NoCommonKeyExchangeGroup
        ) | Error::CryptoError(
            CryptoError::NoDtls12KeyExchangeGroupsConfigured
                | CryptoError::SignatureAlgorithmNotOfferedByClient
        )
    )
}

/// The reason for a fatal alert of the peer.
pub(super) fn of_alert(description: u8, stage: Stage) -> Reason {
    let name = alert_name(description);
    let (code, text) = match description {
        _ if stage.is_connected => (Code::PeerAborted, "the peer ended the session"),
        alert::BAD_CERTIFICATE..=alert::CERTIFICATE_UNKNOWN
        | alert::UNKNOWN_CA
        | alert::ACCESS_DENIED => (
            Code::CertificateRejected,
            "the peer rejected our certificate: it was given a different fingerprint",
        ),
        alert::HANDSHAKE_FAILURE => (
            Code::CertificateUnsupported,
            "the peer has no certificate that is ECDSA on P-256 or P-384",
        ),
        alert::UNEXPECTED_MESSAGE if stage.is_client => {
            (Code::RoleConflict, "both sides are the DTLS client")
        }
        _ => (Code::PeerAborted, "the peer ended the handshake"),
    };
    Reason::new(code, format!("{text} (alert {description}, {name})"))
}

fn alert_name(description: u8) -> &'static str {
    match description {
        10 => "unexpected_message",
        20 => "bad_record_mac",
        22 => "record_overflow",
        40 => "handshake_failure",
        42 => "bad_certificate",
        43 => "unsupported_certificate",
        44 => "certificate_revoked",
        45 => "certificate_expired",
        46 => "certificate_unknown",
        47 => "illegal_parameter",
        48 => "unknown_ca",
        49 => "access_denied",
        50 => "decode_error",
        51 => "decrypt_error",
        70 => "protocol_version",
        71 => "insufficient_security",
        80 => "internal_error",
        90 => "user_canceled",
        100 => "no_renegotiation",
        109 => "missing_extension",
        110 => "unsupported_extension",
        _ => "unknown",
    }
}

/// The handshake did not complete in time.
pub(super) fn timeout(stage: Stage) -> Reason {
    let message = match (stage.has_heard, stage.is_client) {
        (true, _) => "the DTLS handshake was not complete after 30 s",
        (false, true) => "the peer, as DTLS server, did not answer our handshake in 30 s",
        (false, false) => "the peer, as DTLS client, did not begin a handshake in 30 s",
    };
    Reason::new(Code::HandshakeTimeout, message)
}

/// Both sides act as the DTLS client.
pub(super) fn both_client() -> Reason {
    Reason::new(Code::RoleConflict, "both sides are the DTLS client")
}

/// The peer's certificate (DER) matches none of the given fingerprints.
pub(super) fn fingerprint_mismatch(certificate: &[u8]) -> Reason {
    let has = Fingerprint::of(FingerprintAlgorithm::Sha256, certificate).value;
    let message =
        format!("the peer's certificate matches no given fingerprint: its sha-256 is {has}");
    Reason::new(Code::FingerprintMismatch, message)
}

/// The peer sent no certificate.
pub(super) fn no_certificate() -> Reason {
    Reason::new(
        Code::CertificateUnsupported,
        "the peer sent no certificate, so it has none that is ECDSA on P-256 or P-384",
    )
}

/// The peer's close_notify.
pub(super) fn closed_by_peer() -> Reason {
    Reason::new(Code::PeerClosed, "the peer closed the DTLS session")
}

/// The alert to send to the peer for an error of the engine, if any.
pub(super) fn answer_to(error: &Error, stage: Stage) -> Option<Alert> {
    match error {
        // The error is the peer's own alert, which needs no answer.
        Error::SecurityError(SecurityError::FatalAlert { .. }) => None,
        Error::Timeout(_) => None,
        // The peer would ignore a plaintext alert now, and the engine can seal no alert but close_notify.
        _ if stage.is_connected => None,
        _ => Some(Alert::HandshakeFailure),
    }
}
