//! ICE-Lite: which remote address is the peer (RFC 8445 §2.5, §7.3; consent RFC 7675).
//!
//! A lite agent sends no checks; it answers the peer's, learns its addresses from those that are
//! authentic, and follows its nominations. The peer always controls.
//!
//! ```text
//!  New ──────────────┬─ valid request ─────────────► Connected ─┐
//!                    │                                 │        │
//!                    │                        nominated│        │ consent timed out,
//!                    │                                 ▼        │ or no tuple is left
//!  Disconnected ─────┴─ valid, and nominated ──────► Completed ─┤
//!       ▲                                                       │
//!       └───────────────────────────────────────────────────────┘
//! ```
//!
//! A tuple is *valid* once an authentic request has come over it; a request that is wrong or forged
//! creates no state. One valid tuple is *selected*: data is sent there.

mod credentials;
mod quota;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::net::Tuple;
use super::reason::{Code, Reason};
use super::stun::{Binding, Check, Refusal};
use super::transmit::Transmits;

pub use credentials::Credentials;
use credentials::{Generation, Secrets};
use quota::{Quotas, Sender};

/// How many valid tuples are kept. The number is bounded because one authentic request is all that a tuple
/// costs the peer.
const MAX_TUPLES: usize = 8;

/// The state that the application sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum IceState {
    /// No authentic request has come yet.
    New,
    /// A tuple is selected; the peer has not nominated one.
    Connected,
    /// The peer has nominated a tuple.
    Completed,
    /// Consent has timed out, or the last tuple was removed. An authentic request connects again.
    Disconnected,
}

/// What has happened, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IceEvent {
    /// The state has changed.
    State(IceState),
    /// Data is sent over this tuple from now on. The event comes before the state that it leads to. It is
    /// repeated when a lost connection comes back over the tuple that it had before.
    SelectedTuple(Tuple),
    /// The tuple has become valid.
    TupleAdded(Tuple),
    /// The tuple is no longer valid. Not emitted for [`IceLite::remove_tuple`].
    TupleRemoved(Tuple),
    /// Requests with this username fragment are rejected from now on.
    CredentialsRetired(String),
}

/// The Binding requests that have arrived, by outcome.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StunCounters {
    /// All Binding requests.
    pub received: u64,
    /// Requests that were authentic and accepted.
    pub valid: u64,
    /// Requests with a username fragment that is not ours.
    pub wrong_username: u64,
    /// Requests with our username fragment, but signed with another password.
    pub wrong_integrity: u64,
    /// Authentic requests of a peer that claims to be controlled.
    pub role_conflict: u64,
    /// Requests that are malformed, or lack what a check needs.
    pub malformed: u64,
    /// Requests over the quota, which were not examined.
    pub over_quota: u64,
    /// Where the last accepted request came from.
    pub valid_from: Option<SocketAddr>,
    /// Where the last rejected request came from.
    pub refused_from: Option<SocketAddr>,
}

impl StunCounters {
    /// Counts a request that is rejected. `is_known`: its username fragment is ours.
    fn refuse(&mut self, from: SocketAddr, refusal: Refusal, is_known: bool) {
        self.refused_from = Some(from);
        *match refusal {
            Refusal::Unauthorized if is_known => &mut self.wrong_integrity,
            Refusal::Unauthorized => &mut self.wrong_username,
            Refusal::RoleConflict => &mut self.role_conflict,
            Refusal::BadRequest | Refusal::UnknownAttributes => &mut self.malformed,
        } += 1;
    }
}

#[derive(Debug)]
struct ValidTuple {
    tuple: Tuple,
    last_heard: Instant,
}

/// The ICE-Lite agent of one transport, with a single component.
#[derive(Debug)]
pub struct IceLite {
    state: IceState,
    /// The credentials. After a restart the previous ones stay valid until the peer uses the current ones.
    secrets: Secrets,
    /// The valid tuples, in the order of their arrival; empty unless Connected or Completed.
    tuples: Vec<ValidTuple>,
    /// One of `tuples` when Connected or Completed, or the last one when Disconnected.
    selected: Option<Tuple>,
    /// The highest NOMINATION of these credentials and this connection; 0 is none.
    nomination: u32,
    consent_timeout: Option<Duration>,
    last_request: Option<Instant>,
    /// Why the connection is lost; `None` unless Disconnected.
    loss: Option<Code>,
    quotas: Quotas,
    stun: StunCounters,
    events: VecDeque<IceEvent>,
}

impl IceLite {
    /// Makes an agent with new credentials. A connection without a valid request for
    /// `consent_timeout` is lost; `None` for no timeout.
    pub fn new(consent_timeout: Option<Duration>) -> Self {
        Self {
            state: IceState::New,
            secrets: Secrets::generate(),
            tuples: Vec::new(),
            selected: None,
            nomination: 0,
            consent_timeout,
            last_request: None,
            loss: None,
            quotas: Quotas::default(),
            stun: StunCounters::default(),
            events: VecDeque::new(),
        }
    }

    /// The credentials that signalling gives to the peer.
    pub fn credentials(&self) -> &Credentials {
        self.secrets.current()
    }

    /// The username fragments whose requests are accepted: one, or two after a restart.
    pub fn username_fragments(&self) -> impl Iterator<Item = &str> {
        self.secrets.username_fragments()
    }

    /// The state.
    pub fn state(&self) -> IceState {
        self.state
    }

    /// Why the connection is lost. `None` unless Disconnected.
    pub fn loss(&self) -> Option<Reason> {
        let code = self.loss?;
        let seconds = self.consent_timeout.unwrap_or_default().as_secs();
        Some(match code {
            Code::ConsentExpired => {
                let text = format!("no valid STUN request of the peer arrived for {seconds} s");
                Reason::new(code, text)
            }
            Code::PathTaken => {
                Reason::new(code, "the peer's address belongs to another transport now")
            }
            _ => Reason::new(code, "the TCP connection with the peer closed"),
        })
    }

    /// The requests that have arrived.
    pub fn stun(&self) -> &StunCounters {
        &self.stun
    }

    /// The selected tuple, or the last one when Disconnected. It is for display only; datagrams are sent over
    /// [`Self::path`].
    pub fn selected(&self) -> Option<Tuple> {
        self.selected
    }

    /// Where to send: the selected tuple, as long as the peer consents to receive there (RFC 7675
    /// §5.1).
    pub fn path(&self) -> Option<Tuple> {
        self.selected.filter(|_| self.is_connected())
    }

    /// The valid tuples, at most 8, in the order of their arrival.
    pub fn tuples(&self) -> impl Iterator<Item = Tuple> {
        self.tuples.iter().map(|valid| valid.tuple)
    }

    /// Whether an authentic request has come over `tuple`, so that data from it may be processed.
    pub fn is_valid(&self, tuple: Tuple) -> bool {
        self.tuples.iter().any(|valid| valid.tuple == tuple)
    }

    /// Handles a STUN request and writes the answer to `out`. A request that is malformed or over the quota
    /// is dropped; an error response that would be larger than its request is not sent. Returns whether the
    /// request was authentic and accepted; if not, it has changed nothing but the quota.
    pub fn handle_request(
        &mut self,
        now: Instant,
        tuple: Tuple,
        request: Binding<'_>,
        out: &mut Transmits,
    ) -> bool {
        let generation = request.local_fragment().and_then(|it| self.secrets.find(it));
        let sender = match (generation, self.is_valid(tuple)) {
            (Some(_), true) => Sender::Peer,
            (Some(_), false) => Sender::KnownUfrag,
            (None, _) => Sender::UnknownUfrag,
        };
        self.stun.received += 1;
        if !self.quotas.take(now, sender) {
            self.stun.over_quota += 1;
            return false;
        }
        let Some(request) = request.parse() else {
            self.stun.refuse(tuple.remote, Refusal::BadRequest, generation.is_some());
            return false;
        };
        let key = generation.and_then(|it| self.secrets.key(it));
        match (request.verify(key), key) {
            (Ok(check), Some(key)) => {
                out.push_with(tuple, |bytes| request.write_success(key, tuple.remote, bytes));
                if generation == Some(Generation::Current) {
                    self.retire_previous_credentials();
                }
                self.stun.valid += 1;
                self.stun.valid_from = Some(tuple.remote);
                self.handle_check(now, tuple, check);
                true
            }
            (Err(refusal), _) => {
                out.push_with(tuple, |bytes| request.write_refusal(refusal, key, bytes));
                self.stun.refuse(tuple.remote, refusal, key.is_some());
                false
            }
            // Without a key the request cannot be verified.
            (Ok(_), None) => false,
        }
    }

    /// Notes that authenticated data came from `tuple`. If the tuple is valid, the peer sends there now (it
    /// moved from Wi-Fi to mobile, for example), and so do we. Consent is not renewed: RFC 7675 §5.1 leaves
    /// that to the requests.
    pub fn handle_data(&mut self, now: Instant, tuple: Tuple) {
        if let Some(valid) = self.tuples.iter_mut().find(|valid| valid.tuple == tuple) {
            valid.last_heard = now;
            self.select(tuple);
        }
    }

    /// Removes `tuple`: its TCP connection has closed, or another transport has claimed it. If it
    /// was selected, the one used last takes its place; without any left the connection is lost, for the reason
    /// `code`.
    pub fn remove_tuple(&mut self, tuple: Tuple, code: Code) {
        let Some(index) = self.tuples.iter().position(|valid| valid.tuple == tuple) else { return };
        self.tuples.remove(index);
        let Some(next) = self.tuples.iter().max_by_key(|valid| valid.last_heard) else {
            return self.disconnect(code);
        };
        if self.selected == Some(tuple) {
            self.select(next.tuple);
        }
    }

    /// Makes new credentials (RFC 8445 §9). The old ones, the tuples and the state stay until a
    /// request with the new ones arrives; those of an earlier restart are retired at once.
    pub fn restart(&mut self) -> Credentials {
        self.retire_previous_credentials();
        self.secrets.rotate();
        self.credentials().clone()
    }

    /// The next event.
    pub fn poll_event(&mut self) -> Option<IceEvent> {
        self.events.pop_front()
    }

    /// Releases memory that is not in use.
    pub(super) fn trim(&mut self) {
        self.events.shrink_to(0);
    }

    /// When consent times out.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.last_request.filter(|_| self.is_connected())?.checked_add(self.consent_timeout?)
    }

    /// Call this at [`Self::poll_timeout`]. An earlier call does nothing.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.poll_timeout().is_some_and(|deadline| deadline <= now) {
            self.disconnect(Code::ConsentExpired);
        }
    }

    fn is_connected(&self) -> bool {
        matches!(self.state, IceState::Connected | IceState::Completed)
    }

    fn retire_previous_credentials(&mut self) {
        if let Some(username_fragment) = self.secrets.retire_previous() {
            // Nominations count within one set of credentials, so the peer may start again from 1.
            self.nomination = 0;
            self.events.push_back(IceEvent::CredentialsRetired(username_fragment));
        }
    }

    /// Applies an authentic request that came over `tuple`.
    fn handle_check(&mut self, now: Instant, tuple: Tuple, check: Check) {
        self.last_request = Some(now);
        self.validate(now, tuple);
        // A peer that counts its nominations also repeats USE-CANDIDATE on paths it has left.
        let nominates = match check.nomination {
            Some(nomination) => nomination > self.nomination,
            None => check.use_candidate,
        };
        if nominates {
            self.nomination = check.nomination.unwrap_or(self.nomination);
            self.select(tuple);
            self.set_state(IceState::Completed);
        } else if !self.is_connected() {
            self.select(tuple);
            self.set_state(IceState::Connected);
        }
    }

    fn validate(&mut self, now: Instant, tuple: Tuple) {
        if let Some(valid) = self.tuples.iter_mut().find(|valid| valid.tuple == tuple) {
            valid.last_heard = now;
            return;
        }
        if self.tuples.len() >= MAX_TUPLES {
            let oldest = self.tuples.iter().position(|valid| Some(valid.tuple) != self.selected);
            if let Some(index) = oldest {
                let evicted = self.tuples.remove(index);
                self.events.push_back(IceEvent::TupleRemoved(evicted.tuple));
            }
        }
        // Most peers have one tuple.
        self.tuples.reserve_exact(1);
        self.tuples.push(ValidTuple { tuple, last_heard: now });
        self.events.push_back(IceEvent::TupleAdded(tuple));
    }

    fn select(&mut self, tuple: Tuple) {
        if self.selected != Some(tuple) || !self.is_connected() {
            self.selected = Some(tuple);
            self.events.push_back(IceEvent::SelectedTuple(tuple));
        }
    }

    fn set_state(&mut self, state: IceState) {
        if self.state != state {
            self.state = state;
            self.loss = None;
            self.events.push_back(IceEvent::State(state));
        }
    }

    /// Removes all tuples. The selected one is kept for display.
    fn disconnect(&mut self, code: Code) {
        for valid in self.tuples.drain(..) {
            self.events.push_back(IceEvent::TupleRemoved(valid.tuple));
        }
        self.nomination = 0;
        self.set_state(IceState::Disconnected);
        self.loss = Some(code);
    }
}
