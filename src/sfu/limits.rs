//! Limits of what DataProducers receive: checked before routing, counted, and reported once a second at most.

use std::time::{Duration, Instant};

use super::Sfu;
use super::contract::options::{LimitAction, LimitOptions};
use super::data_producer::DataProducerMut;
use super::entity::limit::{Limited, Limiter, limiter};
use super::event::{DataProducerEvent, Event, TransportEvent};
use super::id::DataProducerKey;
use super::transport::TransportMut;
use super::work;

/// How long after a 'limit' event the next one may follow.
const PERIOD: Duration = Duration::from_secs(1);

impl Sfu {
    /// Takes the tokens of a message of this DataProducer. Returns false if one of the limits does not let it pass.
    pub(super) fn passes_limits(&mut self, key: DataProducerKey, payload_len: usize) -> bool {
        let Self { now, data_producers, transports, .. } = self;
        let Some(producer) = data_producers.get_mut(&key) else { return false };
        if producer.paused {
            return true; // The pause keeps the message, and counts it.
        }
        let own = producer.limiter.as_mut().and_then(|it| it.take(*now, payload_len));
        let (limited, action) = match own {
            Some(action) => (Limited::DataProducer(key), action),
            None => {
                let transport = producer.transport;
                let shared = transports.get_mut(&transport).and_then(|it| it.limiter.as_mut());
                match shared.and_then(|it| it.take(*now, payload_len)) {
                    Some(action) => (Limited::Transport(transport), action),
                    None => return true,
                }
            }
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

    /// Emits 'limit', unless the last one was too recent. One that is the last of a DataProducer does not wait.
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

    fn act(&mut self, key: DataProducerKey, action: LimitAction) {
        match action {
            LimitAction::Drop => {}
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
    pub fn set_limit(&mut self, options: Option<&LimitOptions>) {
        let now = self.sfu.now;
        set(&mut self.get().limiter, options, now);
    }
}

impl TransportMut<'_> {
    /// Changes or removes the limit over all DataProducers of the transport.
    pub fn set_limit(&mut self, options: Option<&LimitOptions>) {
        let now = self.sfu.now;
        set(&mut self.get().limiter, options, now);
    }
}

fn set(current: &mut Option<Box<Limiter>>, options: Option<&LimitOptions>, now: Instant) {
    match current {
        Some(current) => current.set(options, now),
        none => *none = limiter(options, now),
    }
}
