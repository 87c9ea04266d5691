//! ICE-Lite: which remote address is the peer (RFC 8445 §2.5, §7.3; consent RFC 7675).
//!
//! A lite agent sends no checks; it answers the peer's, learns its addresses from those that are
//! authentic, and obeys its nominations. The peer controls, always.
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
//! A tuple is *valid* once an authentic request has come over it; nothing that is wrong, missing or
//! forged makes any state. One valid tuple is *selected*: data goes there.

use std::collections::VecDeque;
use std::fmt;
use std::time::{Duration, Instant};

use rand::Rng;
use serde::Serialize;

use super::net::Tuple;
use super::stun::{self, Check, Key, Request};
use super::transmit::Transmits;

/// How many valid tuples are kept. Each costs the peer an authentic request, but not more than that.
const MAX_TUPLES: usize = 8;

/// How many requests are looked at in [`QUOTA_TIME`]: of those over the valid tuples, of those with a
/// username fragment of ours over others, and of all others. A full agent sends one every 50 ms and pair
/// (RFC 8445 §14), and fewer later. One costs us about 5 us, mostly hashing, so whoever knows a username
/// fragment gets at most 1 % of our time.
const QUOTA: u32 = 100;
const QUOTA_TIME: Duration = Duration::from_millis(50);

/// The length of both credentials: 32 of 36 characters, 165 bits each (RFC 8445 §5.3 asks for 24
/// and 128).
const CREDENTIAL_CHARS: usize = 32;

/// What the peer's requests must prove knowledge of.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// Ours in a USERNAME, before the ':'. 32 lowercase letters and digits.
    pub username_fragment: String,
    /// The key of MESSAGE-INTEGRITY. 32 lowercase letters and digits.
    pub password: String,
}

impl Credentials {
    /// Makes credentials from a cryptographic random source.
    pub fn generate() -> Self {
        const ALPHABET: &[u8; 36] = b"abcdefghijklmnopqrstuvwxyz0123456789";
        let mut rng = rand::rng();
        let mut chars = || {
            (0..CREDENTIAL_CHARS)
                .map(|_| char::from(ALPHABET[rng.random_range(0..ALPHABET.len())]))
                .collect()
        };
        Self { username_fragment: chars(), password: chars() }
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The password has no place in a log.
        f.debug_struct("Credentials")
            .field("username_fragment", &self.username_fragment)
            .finish_non_exhaustive()
    }
}

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
    /// Consent has timed out, or the last tuple is gone. An authentic request leads back.
    Disconnected,
    /// [`IceLite::close`] was called.
    Closed,
}

/// What happened, in the order in which it did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IceEvent {
    /// The state has changed.
    State(IceState),
    /// Data goes over this tuple from now on. Comes before the state that it leads to, and again
    /// when a connection comes back over the tuple that it had before.
    SelectedTuple(Tuple),
    /// The tuple has become valid.
    TupleAdded(Tuple),
    /// The tuple is no longer valid. Not for one that [`IceLite::remove_tuple`] was told of.
    TupleRemoved(Tuple),
    /// Requests with this username fragment are refused from now on.
    CredentialsRetired(String),
}

/// Credentials and the key made of them.
#[derive(Debug)]
struct Secret {
    credentials: Credentials,
    key: Key,
}

impl Secret {
    fn generate() -> Self {
        let credentials = Credentials::generate();
        let key = Key::new(&credentials.password);
        Self { credentials, key }
    }
}

#[derive(Debug)]
struct ValidTuple {
    tuple: Tuple,
    last_heard: Instant,
}

/// Counts requests.
#[derive(Debug, Default)]
struct Quota {
    since: Option<Instant>,
    used: u32,
}

impl Quota {
    /// Whether there is room for one more.
    fn take(&mut self, now: Instant) -> bool {
        let is_over = |since| now.saturating_duration_since(since) >= QUOTA_TIME;
        if self.since.is_none_or(is_over) {
            *self = Self { since: Some(now), used: 0 };
        }
        let granted = self.used < QUOTA;
        self.used += u32::from(granted);
        granted
    }
}

/// Separate, so that strangers cannot use up what keeps the peer's consent alive, and who does not even
/// know a username fragment not what lets a peer in.
#[derive(Debug, Default)]
struct Quotas {
    peer: Quota,
    strangers: Quota,
    ignorant: Quota,
}

/// The ICE-Lite agent of one transport, with a single component.
#[derive(Debug)]
pub struct IceLite {
    state: IceState,
    secret: Secret,
    /// Those before a restart, for as long as the peer has not used the new ones.
    old_secret: Option<Secret>,
    /// In the order of their arrival; empty unless Connected or Completed.
    tuples: Vec<ValidTuple>,
    /// One of `tuples` when Connected or Completed; later what was selected last.
    selected: Option<Tuple>,
    /// The highest NOMINATION of these credentials and this connection; 0 is none.
    nomination: u32,
    consent_timeout: Option<Duration>,
    last_request: Option<Instant>,
    quotas: Quotas,
    events: VecDeque<IceEvent>,
}

impl IceLite {
    /// An agent with new credentials. Without a valid request for `consent_timeout` a connection
    /// counts as lost; `None` for never.
    pub fn new(consent_timeout: Option<Duration>) -> Self {
        Self {
            state: IceState::New,
            secret: Secret::generate(),
            old_secret: None,
            tuples: Vec::new(),
            selected: None,
            nomination: 0,
            consent_timeout,
            last_request: None,
            quotas: Quotas::default(),
            events: VecDeque::new(),
        }
    }

    /// The credentials to tell the peer.
    pub fn credentials(&self) -> &Credentials {
        &self.secret.credentials
    }

    /// The username fragments that are ours now: one, or two after a restart.
    pub fn username_fragments(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&self.secret)
            .chain(&self.old_secret)
            .map(|secret| secret.credentials.username_fragment.as_str())
    }

    /// Whether requests with this local username fragment are ours: that of the current
    /// credentials, or of those before a restart while they are valid.
    pub fn accepts_username(&self, username_fragment: &str) -> bool {
        self.state != IceState::Closed && self.secret_of(username_fragment).is_some()
    }

    /// The state.
    pub fn state(&self) -> IceState {
        self.state
    }

    /// The selected tuple, or what was selected last once Disconnected. To show, not to send to:
    /// see [`Self::path`].
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
        self.tuples().any(|valid| valid == tuple)
    }

    /// Takes a STUN datagram, and answers it into `out`. What is neither a Binding request nor
    /// worth an answer is dropped, and so are requests that come too fast; nothing ends a session.
    /// Tells whether it was an authentic request: whatever else it is changes nothing.
    pub fn handle_datagram(
        &mut self,
        now: Instant,
        tuple: Tuple,
        datagram: &[u8],
        out: &mut Transmits,
    ) -> bool {
        if self.state == IceState::Closed {
            return false;
        }
        let knows_us = stun::local_fragment(datagram).is_some_and(|it| self.accepts_username(it));
        let quota = match (knows_us, self.is_valid(tuple)) {
            (true, true) => &mut self.quotas.peer,
            (true, false) => &mut self.quotas.strangers,
            (false, _) => &mut self.quotas.ignorant,
        };
        if !quota.take(now) {
            return false;
        }
        let Some(request) = Request::parse(datagram) else { return false };
        let secret = request.local_fragment().and_then(|fragment| self.secret_of(fragment));
        let key = secret.map(|secret| &secret.key);
        match (request.verify(key), secret) {
            (Ok(check), Some(secret)) => {
                out.push_with(tuple, |bytes| {
                    request.write_success(&secret.key, tuple.remote, bytes);
                });
                if std::ptr::eq(secret, &self.secret) {
                    self.retire_old_secret();
                }
                self.handle_check(now, tuple, check);
                true
            }
            (Err(refusal), _) => {
                out.push_with(tuple, |bytes| request.write_refusal(refusal, key, bytes));
                false
            }
            // Without a key nothing is verified.
            (Ok(_), None) => false,
        }
    }

    /// Data that only the peer can have sent came from `tuple`. If that is valid, the peer sends
    /// there now (from Wi-Fi to mobile, say), and so do we. Consent is not renewed by it: RFC 7675
    /// §5.1 leaves that to the requests.
    pub fn data_from(&mut self, now: Instant, tuple: Tuple) {
        if let Some(valid) = self.tuples.iter_mut().find(|valid| valid.tuple == tuple) {
            valid.last_heard = now;
            self.select(tuple);
        }
    }

    /// Forgets `tuple`: its TCP connection has closed, or another transport has claimed it. If it
    /// was selected, the one heard of last takes its place; without any left the connection is lost.
    pub fn remove_tuple(&mut self, tuple: Tuple) {
        let Some(index) = self.tuples.iter().position(|valid| valid.tuple == tuple) else { return };
        self.tuples.remove(index);
        let Some(next) = self.tuples.iter().max_by_key(|valid| valid.last_heard) else {
            return self.disconnect();
        };
        if self.selected == Some(tuple) {
            self.select(next.tuple);
        }
    }

    /// Makes new credentials (RFC 8445 §9). The old ones, the tuples and the state stay until a
    /// request with the new ones arrives; those of an earlier restart are retired at once.
    pub fn restart(&mut self) -> Credentials {
        if self.state != IceState::Closed {
            let secret = std::mem::replace(&mut self.secret, Secret::generate());
            self.retire_old_secret();
            self.old_secret = Some(secret);
        }
        self.credentials().clone()
    }

    /// Ends everything, without an event.
    pub fn close(&mut self) {
        self.state = IceState::Closed;
        self.tuples.clear();
        self.selected = None;
        self.events.clear();
    }

    /// The next event.
    pub fn poll_event(&mut self) -> Option<IceEvent> {
        self.events.pop_front()
    }

    /// When consent times out.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.last_request.filter(|_| self.is_connected())?.checked_add(self.consent_timeout?)
    }

    /// To be called at [`Self::poll_timeout`]; earlier does nothing.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.poll_timeout().is_some_and(|deadline| deadline <= now) {
            self.disconnect();
        }
    }

    fn is_connected(&self) -> bool {
        matches!(self.state, IceState::Connected | IceState::Completed)
    }

    fn secret_of(&self, username_fragment: &str) -> Option<&Secret> {
        std::iter::once(&self.secret)
            .chain(&self.old_secret)
            .find(|secret| secret.credentials.username_fragment == username_fragment)
    }

    fn retire_old_secret(&mut self) {
        if let Some(old) = self.old_secret.take() {
            // Nominations count within one set of credentials.
            self.nomination = 0;
            self.events.push_back(IceEvent::CredentialsRetired(old.credentials.username_fragment));
        }
    }

    /// An authentic request came over `tuple`.
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
        self.tuples.push(ValidTuple { tuple, last_heard: now });
        self.events.push_back(IceEvent::TupleAdded(tuple));
    }

    fn select(&mut self, tuple: Tuple) {
        if self.path() != Some(tuple) {
            self.selected = Some(tuple);
            self.events.push_back(IceEvent::SelectedTuple(tuple));
        }
    }

    fn set_state(&mut self, state: IceState) {
        if self.state != state {
            self.state = state;
            self.events.push_back(IceEvent::State(state));
        }
    }

    /// Forgets all tuples, but keeps what was selected to be shown.
    fn disconnect(&mut self) {
        for valid in self.tuples.drain(..) {
            self.events.push_back(IceEvent::TupleRemoved(valid.tuple));
        }
        self.nomination = 0;
        self.set_state(IceState::Disconnected);
    }
}
