//! What the sessions of one worker share: the certificate and the settings of the engine.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use log::debug;

use crate::proto::certificate::Certificate;

use super::MAX_HANDSHAKE_RECORD;

/// When a flight is first retransmitted; the interval then doubles. RFC 6347 §4.2.4.1 lets
/// applications that feel the delay go below its second.
const FLIGHT_RTO: Duration = Duration::from_millis(250);

/// The engine's own limits on time. They lie beyond the 30 seconds that a session gives a handshake,
/// so that nobody meets them: 16 doublings, where 7 take 30 seconds.
const ENGINE_TIMEOUT: Duration = Duration::from_secs(60);
const ENGINE_RETRIES: usize = 16;

/// UDP payload of our handshake datagrams. What the application sends, it sizes itself.
const HANDSHAKE_MTU: usize = 1200;

/// Records, mostly with fragments of handshake messages, that the engine holds until it can use
/// them. We give it one record at a time.
const MAX_QUEUED_RECORDS: usize = 32;

/// All that these can hold, which bounds the certificate that may come out of it.
const MAX_HANDSHAKE_BYTES: usize = MAX_QUEUED_RECORDS * MAX_HANDSHAKE_RECORD;

/// Datagrams that the engine holds for us. We take them after each call, so this never fills up.
const MAX_OUTGOING_DATAGRAMS: usize = 64;

/// What all sessions of one worker share.
pub struct DtlsContext {
    certificate: Certificate,
    config: Arc<dimpl::Config>,
    scratch: Mutex<Vec<u8>>,
}

impl DtlsContext {
    /// Sessions that present `certificate`.
    ///
    /// The engine offers and accepts ECDHE-ECDSA with AES-128-GCM, AES-256-GCM and
    /// ChaCha20-Poly1305. As a client it offers them in this order, fastest first; as a server it
    /// leaves the choice to the client, who knows whether it has AES in hardware.
    pub fn new(certificate: Certificate) -> Self {
        let config = dimpl::Config::builder()
            .mtu(HANDSHAKE_MTU)
            .max_queue_rx(MAX_QUEUED_RECORDS)
            .max_queue_tx(MAX_OUTGOING_DATAGRAMS)
            .require_client_certificate(true)
            // The cookie proves that the client receives at its address; ICE has proved that.
            .use_server_cookie(false)
            .flight_start_rto(FLIGHT_RTO)
            .flight_retries(ENGINE_RETRIES)
            .handshake_timeout(ENGINE_TIMEOUT)
            .build()
            // It checks nothing but the constants above.
            .expect("constants");
        let scratch = Mutex::new(vec![0; MAX_HANDSHAKE_BYTES]);
        Self { certificate, config: Arc::new(config), scratch }
    }

    /// Makes the engine of one session, and decides on the version: `new_auto` here would let peers
    /// choose DTLS 1.3, whose records then need a reading of their own in `record.rs`.
    pub(super) fn engine(&self, now: Instant, is_client: bool) -> dimpl::Dtls {
        let config = Arc::clone(&self.config);
        let mut engine = dimpl::Dtls::new_12(config, self.certificate.to_engine(), now);
        engine.set_active(is_client);
        engine
    }

    /// Where a session puts what comes out of its engine in one step of a handshake: large enough for
    /// any certificate, which does not ask for room as the rest does.
    pub(super) fn scratch(&self) -> MutexGuard<'_, Vec<u8>> {
        // A panic while it was held leaves nothing that matters.
        self.scratch.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The certificate that the sessions present.
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }
}

impl fmt::Debug for DtlsContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DtlsContext")
            .field("certificate", &self.certificate)
            .finish_non_exhaustive()
    }
}

/// Gathers the entropy that the first handshake of a process would otherwise wait for, which takes
/// 40 to 100 ms. Call it once, where nobody is waiting.
pub fn warm_up() {
    let mut seed = [0; 32];
    if aws_lc_rs::rand::fill(&mut seed).is_err() {
        debug!("no randomness yet");
    }
}
