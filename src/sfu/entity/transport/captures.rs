//! The captures of one transport: where the packets of its association go.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::{BufMut, BytesMut};

use crate::proto::message::{Message, Ppid};
use crate::proto::sctp::Tapped;
use crate::sfu::backlog::Backlog;
use crate::sfu::event::Event;
use crate::sfu::id::DataConsumerKey;

/// One capture. Its packets travel to JavaScript as messages of a DataConsumer, under a key of its own.
#[derive(Debug)]
struct Capture {
    key: DataConsumerKey,
    /// Bounds the packets that wait for JavaScript.
    backlog: Arc<Backlog>,
    /// How many packets did not fit.
    dropped: Arc<AtomicU64>,
}

/// The captures of a transport.
#[derive(Debug, Default)]
pub(in crate::sfu) struct Captures(Vec<Capture>);

impl Captures {
    pub(in crate::sfu) fn add(
        &mut self,
        key: DataConsumerKey,
        backlog: Arc<Backlog>,
        dropped: Arc<AtomicU64>,
    ) {
        self.0.push(Capture { key, backlog, dropped });
    }

    /// Removes a capture. Returns whether any is left.
    pub(in crate::sfu) fn remove(&mut self, key: DataConsumerKey) -> bool {
        self.0.retain(|it| it.key != key);
        !self.0.is_empty()
    }

    /// The charge of the packets that wait for JavaScript.
    pub(in crate::sfu) fn charge(&self) -> u64 {
        self.0.iter().map(|it| it.backlog.charge()).sum()
    }

    /// Passes a packet, which crossed at `at` on the clock of statistics, to each capture: the time in microseconds in
    /// 8 bytes, then the packet. The PPID is 1 on the way to the peer, else 0.
    pub(in crate::sfu) fn pass(
        &self,
        at: Duration,
        tapped: &Tapped,
        events: &mut impl Extend<Event>,
    ) {
        let mut payload = BytesMut::with_capacity(8 + tapped.packet.len());
        payload.put_u64(at.as_micros() as u64);
        payload.extend_from_slice(&tapped.packet);
        let message = Message { ppid: Ppid(u32::from(tapped.outbound)), payload: payload.freeze() };
        events.extend(self.0.iter().filter_map(|capture| {
            if capture.backlog.try_enter(message.amount()) {
                return Some(Event::Message(capture.key, message.clone()));
            }
            capture.dropped.fetch_add(1, Ordering::Relaxed);
            None
        }));
    }
}
