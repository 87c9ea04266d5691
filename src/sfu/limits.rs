//! Limits on what DataProducers receive: checked before routing, counted, and reported at most once a second.

use std::time::{Duration, Instant};

use super::Sfu;
use super::contract::options::{LimitAction, LimitOptions};
use super::data_producer::DataProducerMut;
use super::entity::data_producer::DataProducer;
use super::entity::limiter::{Limited, Limiter, WaitingProducers, blocks, limiter};
use super::error::{Error, Result};
use super::event::{DataProducerEvent, Event, TransportEvent};
use super::id::{DataProducerKey, TransportKey};
use super::transport::TransportMut;
use super::work;

/// How long after a 'limit' event the next one may follow.
const PERIOD: Duration = Duration::from_secs(1);

/// DataProducers that have waited for the same limit go on one after the other, at this interval.
const TURN: Duration = Duration::from_millis(1);

impl Sfu {
    /// Takes the tokens of a message of this DataProducer. Returns false if a limit does not let the message pass.
    pub(super) fn passes_limits(&mut self, key: DataProducerKey, payload_len: usize) -> bool {
        let Self { now, data_producers, transports, .. } = self;
        let Some(producer) = data_producers.get_mut(&key) else { return false };
        if producer.skips_messages() {
            return true; // The pause keeps the message, and counts it.
        }
        let transport = producer.transport;
        let mut own = producer.limiter.as_deref_mut();
        let shared = transports.get_mut(&transport);
        let mut shared = shared.and_then(|it| it.limiter.as_deref_mut());
        // A message that one limit refuses costs no tokens of the other.
        let (limited, action) = if let Some(action) = own.as_mut().and_then(|it| it.refuses(*now)) {
            (Limited::DataProducer(key), action)
        } else if let Some(action) = shared.as_mut().and_then(|it| it.refuses(*now)) {
            (Limited::Transport(transport), action)
        } else {
            own.into_iter().chain(shared).for_each(|it| it.take(payload_len));
            return true;
        };
        producer.limited.add(payload_len);
        if let Limited::Transport(transport) = limited
            && let Some(transport) = transports.get_mut(&transport)
        {
            transport.limited.add(payload_len);
        }
        if let Some(limiter) = self.limiter(limited) {
            limiter.unreported.add(payload_len);
        }
        self.report(limited, action == LimitAction::Close);
        self.act(key, action);
        false
    }

    fn limiter(&mut self, limited: Limited) -> Option<&mut Limiter> {
        match limited {
            Limited::DataProducer(key) => self.data_producers.get_mut(&key)?.limiter.as_deref_mut(),
            Limited::Transport(key) => self.transports.get_mut(&key)?.limiter.as_deref_mut(),
        }
    }

    /// Emits 'limit', unless the last one was too recent. The last one of a DataProducer does not wait.
    fn report(&mut self, limited: Limited, is_last: bool) {
        let due = self.now + PERIOD;
        let Some(limiter) = self.limiter(limited) else { return };
        let is_reporting = std::mem::replace(&mut limiter.is_reporting, true);
        if is_reporting && !(is_last && matches!(limited, Limited::DataProducer(_))) {
            return;
        }
        let count = std::mem::take(&mut limiter.unreported);
        self.events.push_back(match limited {
            Limited::DataProducer(key) => Event::DataProducer(key, DataProducerEvent::Limit(count)),
            Limited::Transport(key) => Event::Transport(key, TransportEvent::Limit(count)),
        });
        if !is_reporting {
            self.limit_reports.add(due, limited);
        }
    }

    /// Emits the events that are due, as many as one turn may.
    pub(super) fn report_limits(&mut self) {
        let end = self.work + work::SHARE;
        while self.work < end
            && let Some(limited) = self.limit_reports.take(self.now)
        {
            self.work += work::SKIPPED;
            let Some(limiter) = self.limiter(limited) else { continue };
            limiter.is_reporting = false;
            if limiter.unreported.messages > 0 {
                self.work += work::TO_JAVASCRIPT;
                self.report(limited, false);
            }
        }
    }

    /// Whether this DataProducer has to wait for tokens. If so, its wait is registered.
    pub(super) fn awaits_tokens(&mut self, key: DataProducerKey) -> bool {
        let Self { now, data_producers, transports, blocks, .. } = self;
        if blocks.limits == 0 {
            return false;
        }
        let Some(producer) = data_producers.get_mut(&key) else { return false };
        if producer.skips_messages() {
            return false;
        }
        let mut own = producer.limiter.as_deref_mut().map(|it| (Limited::DataProducer(key), it));
        let mut until = own.as_mut().and_then(|(_, it)| it.blocked_until(*now));
        if until.is_none() {
            let transport = producer.transport;
            let shared = transports.get_mut(&transport).and_then(|it| it.limiter.as_deref_mut());
            own = shared.map(|it| (Limited::Transport(transport), it));
            until = own.as_mut().and_then(|(_, it)| it.blocked_until(*now));
        }
        let Some(((limited, limiter), until)) = own.zip(until) else { return false };
        if !std::mem::replace(&mut producer.awaits_tokens, true) {
            limiter.waiting.push(key);
        }
        if limiter.due.is_none() {
            limiter.due = Some(until);
            blocks.push_tokens(until, limited);
        }
        self.report(limited, false);
        true
    }

    /// Lets DataProducers go on for which there are tokens.
    pub(super) fn release_limited(&mut self) {
        let end = self.work + work::SHARE;
        while self.work < end
            && let Some((at, limited)) = self.blocks.take_tokens(self.now)
        {
            self.work += work::SKIPPED;
            let now = self.now;
            let Some(limiter) = self.limiter(limited) else { continue };
            if limiter.due.take_if(|due| *due == at).is_none() {
                continue;
            }
            let until = limiter.blocked_until(now);
            let mut turns = match until {
                Some(_) => 0,
                None => limiter.turns().min((work::SHARE / work::SKIPPED) as usize),
            };
            while turns > 0
                && let Some(key) = self.limiter(limited).and_then(|it| it.waiting.pop())
            {
                self.work += work::SKIPPED;
                turns -= usize::from(self.end_wait_for_tokens(key));
            }
            if let Some(limiter) = self.limiter(limited).filter(|it| !it.waiting.is_empty()) {
                let next = until.unwrap_or(now + TURN);
                limiter.due = Some(next);
                self.blocks.push_tokens(next, limited);
            }
        }
    }

    /// Returns whether the DataProducer is there.
    fn end_wait_for_tokens(&mut self, key: DataProducerKey) -> bool {
        let Some(producer) = self.data_producers.get_mut(&key) else { return false };
        producer.awaits_tokens = false;
        self.check_producer(key);
        true
    }

    /// Notes that a limit has come or gone, or has another action.
    pub(super) fn count_limit(&mut self, before: bool, after: bool) {
        self.blocks.limits += usize::from(after);
        self.blocks.limits -= usize::from(before);
    }

    /// Ends the wait of a DataProducer that has been removed.
    pub(super) fn forget_limits(&mut self, producer: &DataProducer) {
        self.count_limit(blocks(producer.limiter.as_deref()), false);
        if producer.awaits_tokens
            && let Some(transport) = self.transports.get_mut(&producer.transport)
            && let Some(limiter) = &mut transport.limiter
        {
            limiter.waiting.forget_one(|key| self.data_producers.contains_key(key));
        }
    }

    fn act(&mut self, key: DataProducerKey, action: LimitAction) {
        match action {
            LimitAction::Drop | LimitAction::Block => {}
            // A paused DataProducer that holds its messages may exceed its limit as well.
            LimitAction::Pause if self.data_producers.get(&key).is_some_and(|it| it.paused) => {}
            LimitAction::Pause => {
                self.events.push_back(Event::DataProducer(key, DataProducerEvent::LimitPause));
                if let Ok(mut producer) = self.data_producer(key) {
                    producer.pause();
                }
            }
            LimitAction::Close => {
                self.events.push_back(Event::DataProducer(key, DataProducerEvent::LimitClose));
                self.remove_data_producer(key);
            }
        }
    }
}

impl DataProducerMut<'_> {
    /// Changes or removes the limit.
    pub fn set_limit(&mut self, options: Option<&LimitOptions>) -> Result<()> {
        let (now, transport) = (self.sfu.now, self.get().transport);
        self.sfu.check_limit(transport, options)?;
        let change = set(&mut self.get().limiter, options, now);
        self.sfu.apply(change);
        Ok(())
    }
}

impl TransportMut<'_> {
    /// Changes or removes the limit over all DataProducers of the transport.
    pub fn set_limit(&mut self, options: Option<&LimitOptions>) -> Result<()> {
        let now = self.sfu.now;
        self.sfu.check_limit(self.key, options)?;
        let change = set(&mut self.get().limiter, options, now);
        self.sfu.apply(change);
        Ok(())
    }
}

/// Whether a limiter made DataProducers wait before and does now, and the DataProducers that waited.
type Change = (bool, bool, WaitingProducers);

fn set(current: &mut Option<Box<Limiter>>, options: Option<&LimitOptions>, now: Instant) -> Change {
    let before = blocks(current.as_deref());
    match current {
        Some(limiter) => limiter.set(options, now),
        None => *current = limiter(options, now),
    }
    let waited = current.as_mut().map(|it| std::mem::take(&mut it.waiting)).unwrap_or_default();
    (before, blocks(current.as_deref()), waited)
}

impl Sfu {
    /// Lets the DataProducers that waited ask again.
    fn apply(&mut self, (before, after, mut waited): Change) {
        self.count_limit(before, after);
        while let Some(key) = waited.pop() {
            self.end_wait_for_tokens(key);
        }
    }

    /// Whether this transport, or a DataProducer on it, may have this limit.
    pub(super) fn check_limit(
        &self,
        transport: TransportKey,
        options: Option<&LimitOptions>,
    ) -> Result<()> {
        let blocks = options.is_some_and(|it| it.action == LimitAction::Block);
        let transport = self.transports.get(&transport);
        match blocks && transport.is_some_and(|it| it.is_pipe() && !it.has_tunnel()) {
            true => Err(Error::LimitOverPipe),
            false => Ok(()),
        }
    }
}
