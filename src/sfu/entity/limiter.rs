//! How much a DataProducer, or all DataProducers of a transport, may receive.
//!
//! A token bucket for messages and one for bytes. A message passes while there are tokens in both, and may drive them
//! into debt. So even a message larger than a bucket passes at some time.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::sfu::contract::options::{LimitAction, LimitOptions};
use crate::sfu::contract::parameters::DropCount;
use crate::sfu::id::{DataProducerKey, TransportKey};

/// The longest wait in seconds. A debt may last for years, and entries of `Blocks::tokens` stay until their time comes,
/// even if their limit is gone. So long waits are split.
const LONGEST_WAIT: f64 = 60.0;

/// The size of a small message in bytes.
const SMALL: f64 = 64.0;

/// A limit, and how much it has dropped since the last event.
#[derive(Debug)]
pub(in crate::sfu) struct Limiter {
    /// `None` if the application has removed it.
    limit: Option<TokenBuckets>,
    /// The content of the next event.
    pub(in crate::sfu) unreported: DropCount,
    /// Whether the last event is so recent that the next one waits.
    pub(in crate::sfu) is_reporting: bool,
    pub(in crate::sfu) waiting: WaitingProducers,
    /// When the waiting DataProducers may go on, or when to check again.
    pub(in crate::sfu) due: Option<Instant>,
}

#[derive(Debug)]
struct TokenBuckets {
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

    /// Keeps the tokens of `older`, as far as they fit.
    fn continued(self, older: Option<&Self>) -> Self {
        let tokens = older.map_or(self.tokens, |it| it.tokens.min(self.capacity));
        Self { tokens, ..self }
    }

    fn is_empty(&self) -> bool {
        self.tokens <= 0.0
    }

    /// How long until it has tokens again, in seconds.
    fn empty_for(&self) -> f64 {
        (-self.tokens / self.rate).max(0.0)
    }

    fn fill(&mut self, seconds: f64) {
        self.tokens = (self.tokens + self.rate * seconds).min(self.capacity);
    }
}

impl TokenBuckets {
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

    fn is_empty(&self) -> bool {
        self.messages.iter().chain(&self.bytes).any(Bucket::is_empty)
    }

    fn take(&mut self, payload_len: usize) {
        self.messages.iter_mut().for_each(|it| it.tokens -= 1.0);
        self.bytes.iter_mut().for_each(|it| it.tokens -= payload_len as f64);
    }
}

/// The limiter of a new DataProducer or transport.
pub(in crate::sfu) fn limiter(
    options: Option<&LimitOptions>,
    now: Instant,
) -> Option<Box<Limiter>> {
    options.map(|it| Box::new(Limiter::new(it, now)))
}

/// Whether messages over the limit wait for tokens.
pub(in crate::sfu) fn blocks(limiter: Option<&Limiter>) -> bool {
    let limit = limiter.and_then(|it| it.limit.as_ref());
    limit.is_some_and(|it| it.action == LimitAction::Block)
}

impl Limiter {
    pub(in crate::sfu) fn new(options: &LimitOptions, now: Instant) -> Self {
        Self {
            limit: Some(TokenBuckets::new(options, now)),
            unreported: DropCount::default(),
            is_reporting: false,
            waiting: WaitingProducers::default(),
            due: None,
        }
    }

    /// Changes the limit, keeping its tokens or debt, or removes it. DataProducers that wait have to ask again.
    pub(in crate::sfu) fn set(&mut self, options: Option<&LimitOptions>, now: Instant) {
        self.due = None;
        let older = self.limit.take();
        self.limit = options.map(|options| {
            let TokenBuckets { messages, bytes, action, filled_at } =
                TokenBuckets::new(options, now);
            let Some(mut older) = older else {
                return TokenBuckets { messages, bytes, action, filled_at };
            };
            older.fill(now);
            TokenBuckets {
                messages: messages.map(|it| it.continued(older.messages.as_ref())),
                bytes: bytes.map(|it| it.continued(older.bytes.as_ref())),
                action,
                filled_at,
            }
        });
    }

    /// When to ask again whether the next message may pass. `None`: it may now.
    pub(in crate::sfu) fn blocked_until(&mut self, now: Instant) -> Option<Instant> {
        let limit = self.limit.as_mut().filter(|it| it.action == LimitAction::Block)?;
        limit.fill(now);
        if !limit.is_empty() {
            return None;
        }
        let seconds = limit.messages.iter().chain(&limit.bytes).map(Bucket::empty_for);
        let wait = Duration::from_secs_f64(seconds.fold(0.0, f64::max).min(LONGEST_WAIT));
        Some(now + wait + Duration::from_micros(1))
    }

    /// How many DataProducers may go on at once, at least 1: each checks the limit again before its message.
    pub(in crate::sfu) fn turns(&self) -> usize {
        let limit = self.limit.iter();
        let messages = limit.clone().filter_map(|it| it.messages.as_ref()).map(|it| it.tokens);
        let bytes = limit.filter_map(|it| it.bytes.as_ref()).map(|it| it.tokens / SMALL);
        messages.chain(bytes).reduce(f64::min).map_or(1, |it| it.max(1.0) as usize)
    }

    /// What to do with the next message if there are no tokens for it. With 'block' it passes: had it had to wait, it
    /// would not have come this far.
    pub(in crate::sfu) fn refuses(&mut self, now: Instant) -> Option<LimitAction> {
        let limit = self.limit.as_mut()?;
        limit.fill(now);
        (limit.action != LimitAction::Block && limit.is_empty()).then_some(limit.action)
    }

    /// Takes the tokens of a message that passes.
    pub(in crate::sfu) fn take(&mut self, payload_len: usize) {
        self.limit.iter_mut().for_each(|it| it.take(payload_len));
    }
}

/// The DataProducers that wait for tokens, in the order of their turns. To forget one costs about the same however many
/// there are.
#[derive(Debug, Default)]
pub(in crate::sfu) struct WaitingProducers {
    keys: VecDeque<DataProducerKey>,
    /// How many have closed and may still be in the queue.
    gone: usize,
}

impl WaitingProducers {
    pub(in crate::sfu) fn push(&mut self, key: DataProducerKey) {
        self.keys.push_back(key);
    }

    /// The next one. It may have closed.
    pub(in crate::sfu) fn pop(&mut self) -> Option<DataProducerKey> {
        self.keys.pop_front()
    }

    pub(in crate::sfu) fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Notes that a waiting DataProducer has closed. Closed ones are removed together, once they are half of the queue.
    pub(in crate::sfu) fn forget_one(&mut self, is_open: impl Fn(&DataProducerKey) -> bool) {
        self.gone += 1;
        if self.gone > self.keys.len() / 2 {
            self.keys.retain(is_open);
            self.keys.shrink_to(2 * self.keys.len());
            self.gone = 0;
        }
    }
}

/// An entity with a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::sfu) enum Limited {
    DataProducer(DataProducerKey),
    Transport(TransportKey),
}

/// When each entity that has emitted 'limit' may emit the next one. The interval is always the same, so the entries are
/// in order.
#[derive(Debug, Default)]
pub(in crate::sfu) struct LimitReports(VecDeque<(Instant, Limited)>);

impl LimitReports {
    pub(in crate::sfu) fn len(&self) -> usize {
        self.0.len()
    }

    pub(in crate::sfu) fn next(&self) -> Option<Instant> {
        self.0.front().map(|(at, _)| *at)
    }

    pub(in crate::sfu) fn add(&mut self, at: Instant, limited: Limited) {
        self.0.push_back((at, limited));
    }

    /// Takes one that is due.
    pub(in crate::sfu) fn take(&mut self, now: Instant) -> Option<Limited> {
        self.next().filter(|at| *at <= now)?;
        self.0.pop_front().map(|(_, limited)| limited)
    }

    pub(in crate::sfu) fn clear(&mut self) {
        self.0.clear();
    }
}
