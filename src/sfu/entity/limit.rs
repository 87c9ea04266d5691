//! How much a DataProducer, or all DataProducers of a transport, may receive.
//!
//! A token bucket for messages and one for bytes. A message passes while there are tokens in both, and the buckets go into
//! debt: so a message that is larger than a bucket passes some time.

use std::collections::VecDeque;
use std::time::Instant;

use crate::sfu::contract::options::{LimitAction, LimitOptions};
use crate::sfu::contract::parameters::DropCount;
use crate::sfu::id::{DataProducerKey, TransportKey};

/// A limit, and what it has kept from being routed since the last event.
#[derive(Debug)]
pub(in crate::sfu) struct Limiter {
    /// None if the application has removed it.
    limit: Option<Limit>,
    /// What the next event will say.
    pub(in crate::sfu) unreported: DropCount,
    /// Whether the last event is so recent that the next one waits.
    pub(in crate::sfu) is_reporting: bool,
}

#[derive(Debug)]
struct Limit {
    messages: Option<Bucket>,
    bytes: Option<Bucket>,
    action: LimitAction,
    filled_at: Instant,
}

#[derive(Debug)]
struct Bucket {
    /// Tokens per second.
    rate: f64,
    capacity: f64,
    /// Below zero after a message that took more than there was.
    tokens: f64,
}

impl Bucket {
    fn new(rate: u32, burst: f64) -> Self {
        let rate = f64::from(rate);
        let capacity = rate * burst;
        Self { rate, capacity, tokens: capacity }
    }

    /// Keeps what `older` has, as far as it fits.
    fn continued(self, older: Option<&Self>) -> Self {
        let tokens = older.map_or(self.tokens, |it| it.tokens.min(self.capacity));
        Self { tokens, ..self }
    }

    fn fill(&mut self, seconds: f64) {
        self.tokens = (self.tokens + self.rate * seconds).min(self.capacity);
    }
}

impl Limit {
    fn new(options: &LimitOptions, now: Instant) -> Self {
        let bucket = |rate: Option<u32>| rate.map(|it| Bucket::new(it, options.burst));
        Self {
            messages: bucket(options.messages_per_second),
            bytes: bucket(options.bytes_per_second),
            action: options.action,
            filled_at: now,
        }
    }

    fn fill(&mut self, now: Instant) {
        if now > self.filled_at {
            let seconds = now.duration_since(self.filled_at).as_secs_f64();
            self.filled_at = now;
            self.messages.iter_mut().chain(&mut self.bytes).for_each(|it| it.fill(seconds));
        }
    }

    fn takes(&mut self, payload_len: usize) -> bool {
        let empty = |it: &Option<Bucket>| it.as_ref().is_some_and(|it| it.tokens <= 0.0);
        if empty(&self.messages) || empty(&self.bytes) {
            return false;
        }
        self.messages.iter_mut().for_each(|it| it.tokens -= 1.0);
        self.bytes.iter_mut().for_each(|it| it.tokens -= payload_len as f64);
        true
    }
}

/// The limiter that something starts with.
pub(in crate::sfu) fn limiter(
    options: Option<&LimitOptions>,
    now: Instant,
) -> Option<Box<Limiter>> {
    options.map(|it| Box::new(Limiter::new(it, now)))
}

impl Limiter {
    pub(in crate::sfu) fn new(options: &LimitOptions, now: Instant) -> Self {
        Self {
            limit: Some(Limit::new(options, now)),
            unreported: DropCount::default(),
            is_reporting: false,
        }
    }

    /// Changes the limit, which keeps its tokens and its debt, or removes it.
    pub(in crate::sfu) fn set(&mut self, options: Option<&LimitOptions>, now: Instant) {
        let older = self.limit.take();
        self.limit = options.map(|options| {
            let Limit { messages, bytes, action, filled_at } = Limit::new(options, now);
            let Some(mut older) = older else {
                return Limit { messages, bytes, action, filled_at };
            };
            older.fill(now);
            Limit {
                messages: messages.map(|it| it.continued(older.messages.as_ref())),
                bytes: bytes.map(|it| it.continued(older.bytes.as_ref())),
                action,
                filled_at,
            }
        });
    }

    /// Takes the tokens of a message. If there are none, returns what is to happen.
    pub(in crate::sfu) fn take(&mut self, now: Instant, payload_len: usize) -> Option<LimitAction> {
        let limit = self.limit.as_mut()?;
        limit.fill(now);
        (!limit.takes(payload_len)).then_some(limit.action)
    }
}

/// What has a limit.
#[derive(Debug, Clone, Copy)]
pub(in crate::sfu) enum Limited {
    DataProducer(DataProducerKey),
    Transport(TransportKey),
}

/// When to emit the next 'limit' of each that has emitted one: all are the same time after the last, so they are in order.
#[derive(Debug, Default)]
pub(in crate::sfu) struct LimitReports(VecDeque<(Instant, Limited)>);

impl LimitReports {
    pub(in crate::sfu) fn next(&self) -> Option<Instant> {
        self.0.front().map(|(at, _)| *at)
    }

    pub(in crate::sfu) fn add(&mut self, at: Instant, limited: Limited) {
        self.0.push_back((at, limited));
    }

    /// One that is due.
    pub(in crate::sfu) fn take(&mut self, now: Instant) -> Option<Limited> {
        self.next().filter(|at| *at <= now)?;
        self.0.pop_front().map(|(_, limited)| limited)
    }

    pub(in crate::sfu) fn clear(&mut self) {
        self.0.clear();
    }
}
