//! What the sessions of one worker share: the certificate and the settings of the engine.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use log::debug;

use crate::proto::certificate::Certificate;

use super::record::MAX_HANDSHAKE_RECORD;

/// When a flight is first retransmitted; the interval then doubles. RFC 6347 §4.2.4.1 allows less
/// than its one second for applications that are sensitive to delay.
const FLIGHT_RTO: Duration = Duration::from_millis(250);

/// The engine's own limits on a handshake. They never apply: a session fails its handshake after 30 seconds,
/// and 7 of the 16 doublings already take as long.
const ENGINE_TIMEOUT: Duration = Duration::from_secs(60);
const ENGINE_RETRIES: usize = 16;

/// The UDP payload of handshake datagrams. Data records are as large as their content.
const HANDSHAKE_MTU: usize = 1200;

/// Records, mostly with fragments of handshake messages, that the engine holds until it can use
/// them. It gets one record at a time.
const MAX_QUEUED_RECORDS: usize = 32;

/// The bytes that these records can hold together, which bounds the size of a certificate.
const MAX_HANDSHAKE_BYTES: usize = MAX_QUEUED_RECORDS * MAX_HANDSHAKE_RECORD;

/// Datagrams that wait in the engine. They are taken after each call, so this is never reached.
const MAX_OUTGOING_DATAGRAMS: usize = 64;

/// The certificate and the settings that all sessions of one worker share.
pub struct DtlsContext {
    certificate: Certificate,
    config: Arc<dimpl::Config>,
    with_cookie: Arc<dimpl::Config>,
    scratch: Mutex<Vec<u8>>,
}

impl DtlsContext {
    /// Makes the context of sessions that present `certificate`.
    ///
    /// The engine offers and accepts ECDHE-ECDSA with AES-128-GCM, AES-256-GCM and
    /// ChaCha20-Poly1305. As a client it offers them in this order, fastest first; as a server it
    /// follows the client, which knows whether it has AES in hardware.
    pub fn new(certificate: Certificate) -> Self {
        let scratch = Mutex::new(vec![0; MAX_HANDSHAKE_BYTES]);
        let [config, with_cookie] = [false, true].map(|it| Arc::new(config(it)));
        Self { certificate, config, with_cookie, scratch }
    }

    /// The engine of a server that asks its client for a cookie.
    pub(super) fn engine_with_cookie(&self, now: Instant) -> dimpl::Dtls {
        let config = Arc::clone(&self.with_cookie);
        let mut engine = dimpl::Dtls::new_12(config, self.certificate.to_engine(), now);
        engine.set_active(false);
        engine
    }

    /// Makes the engine of one session, and decides on the version: `new_auto` here would let peers
    /// choose DTLS 1.3, whose records then need a reading of their own in `record.rs`.
    pub(super) fn engine(&self, now: Instant, is_client: bool) -> dimpl::Dtls {
        let config = Arc::clone(&self.config);
        let mut engine = dimpl::Dtls::new_12(config, self.certificate.to_engine(), now);
        engine.set_active(is_client);
        engine
    }

    /// A buffer for the output of an engine during a handshake. It is large enough for any
    /// certificate, for which an engine cannot request room as it can for other output.
    pub(super) fn scratch(&self) -> MutexGuard<'_, Vec<u8>> {
        // The buffer holds nothing of value between calls, so a panic that poisoned the lock does no harm.
        self.scratch.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The certificate that the sessions present.
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }
}

/// `cookie`: whether servers ask for one, which proves that the client receives at its address.
fn config(cookie: bool) -> dimpl::Config {
    dimpl::Config::builder()
        .mtu(HANDSHAKE_MTU)
        .max_queue_rx(MAX_QUEUED_RECORDS)
        .max_queue_tx(MAX_OUTGOING_DATAGRAMS)
        .require_client_certificate(true)
        .use_server_cookie(cookie)
        .flight_start_rto(FLIGHT_RTO)
        .flight_retries(ENGINE_RETRIES)
        .handshake_timeout(ENGINE_TIMEOUT)
        .build()
        // This cannot fail: the builder validates only the constants above.
        .expect("constants")
}

impl fmt::Debug for DtlsContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DtlsContext")
            .field("certificate", &self.certificate)
            .finish_non_exhaustive()
    }
}

/// Gathers entropy, which takes 40 to 100 ms, so that the first handshake of the process does not
/// wait for it. Call this once, on a thread that serves no peer yet.
pub fn warm_up() {
    let mut seed = [0; 32];
    if aws_lc_rs::rand::fill(&mut seed).is_err() {
        debug!("the system has no entropy yet: the first DTLS handshake may wait for it");
    }
}
