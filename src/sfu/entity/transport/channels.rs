//! Channels that the peer has opened in band and that no DataProducer has adopted yet.
//!
//! ```text
//! opened ─┬─ adopt ──► its description and messages, for the DataProducer
//!         ├─ 10 s ───► its messages are unrouted; its description stays until there are too many
//!         └─ reset ──► closed: may be adopted until the 10 s are over, and holds its place until then
//! ```
//!
//! So a peer that opens and closes channels causes at most [`MAX_CHANNELS`] events in 10 s.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::proto::message::{Message, Reliability, StreamId, charge};

/// How long the messages of a channel are kept, from its opening on.
const KEPT: Duration = Duration::from_secs(10);
/// The most channels.
pub(in crate::sfu) const MAX_CHANNELS: usize = 64;
/// The most messages of all channels together.
const MAX_MESSAGES: usize = 256;
/// The most bytes of all channels together: the charge of their messages, labels and protocols.
const MAX_BYTES: usize = 256 * 1024;

/// What the peer's DATA_CHANNEL_OPEN says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::sfu) struct Description {
    pub(in crate::sfu) label: String,
    pub(in crate::sfu) protocol: String,
    pub(in crate::sfu) reliability: Reliability,
}

impl Description {
    fn charge(&self) -> usize {
        charge(self.label.len() + self.protocol.len())
    }
}

/// A channel that is adopted.
#[derive(Debug)]
pub(in crate::sfu) struct Adopted {
    pub(in crate::sfu) description: Description,
    pub(in crate::sfu) messages: Vec<Message>,
    /// Whether the peer has closed it since.
    pub(in crate::sfu) closed: bool,
}

#[derive(Debug)]
struct Channel {
    /// `None` once the peer has opened another channel on the same stream.
    stream: Option<StreamId>,
    description: Description,
    messages: Vec<Message>,
    closed: bool,
    until: Instant,
    /// Whether its messages are still kept.
    keeps: bool,
}

/// See the module's documentation. The channels are in the order of their opening.
#[derive(Debug, Default)]
pub(in crate::sfu) struct Channels {
    list: VecDeque<Channel>,
    messages: usize,
    bytes: usize,
}

impl Channels {
    /// Notes a channel. Returns whether there was room, and the messages of an earlier channel on the same stream,
    /// which stay unrouted.
    pub(in crate::sfu) fn open(
        &mut self,
        now: Instant,
        stream: StreamId,
        description: Description,
    ) -> (bool, Vec<Message>) {
        let former = self.retire(stream);
        let charge = description.charge();
        while self.list.len() >= MAX_CHANNELS || self.bytes + charge > MAX_BYTES {
            // Channels whose messages are no longer kept make room.
            if self.list.front().is_none_or(|oldest| oldest.keeps) {
                return (false, former);
            }
            if let Some(oldest) = self.list.pop_front() {
                self.bytes -= oldest.description.charge();
            }
        }
        self.bytes += charge;
        self.list.push_back(Channel {
            stream: Some(stream),
            description,
            messages: Vec::new(),
            closed: false,
            until: now + KEPT,
            keeps: true,
        });
        (true, former)
    }

    /// Keeps a message, if it is of one of these channels and there is room. Returns whether the message was kept.
    pub(in crate::sfu) fn keep(&mut self, stream: StreamId, message: &Message) -> bool {
        let charge = message.amount().charge;
        let fits = self.messages < MAX_MESSAGES && self.bytes + charge <= MAX_BYTES;
        let channel = self.find(stream).filter(|it| it.keeps && !it.closed);
        let Some(channel) = channel.filter(|_| fits) else { return false };
        channel.messages.push(message.clone());
        self.messages += 1;
        self.bytes += charge;
        true
    }

    /// Notes that the peer has closed the channel.
    pub(in crate::sfu) fn close(&mut self, stream: StreamId) {
        if let Some(channel) = self.find(stream) {
            channel.closed = true;
        }
        self.forget_over();
    }

    /// Removes a channel, for the DataProducer on its stream.
    pub(in crate::sfu) fn adopt(&mut self, stream: StreamId) -> Option<Adopted> {
        let index = self.list.iter().position(|it| it.stream == Some(stream))?;
        let Channel { description, messages, closed, .. } = self.list.remove(index)?;
        self.messages -= messages.len();
        self.bytes -= description.charge() + charge_of(&messages);
        Some(Adopted { description, messages, closed })
    }

    /// When to call [`Self::expire`].
    pub(in crate::sfu) fn deadline(&self) -> Option<Instant> {
        self.list.iter().find(|it| it.keeps).map(|it| it.until)
    }

    /// Ends the time of channels that have been kept for long enough. Returns their streams and messages, which stay
    /// unrouted.
    pub(in crate::sfu) fn expire(&mut self, now: Instant) -> Vec<(StreamId, Message)> {
        let mut expired = Vec::new();
        for it in self.list.iter_mut().filter(|it| it.keeps && it.until <= now) {
            it.keeps = false;
            self.messages -= it.messages.len();
            self.bytes -= charge_of(&it.messages);
            let messages = std::mem::take(&mut it.messages).into_iter();
            expired.extend(messages.filter_map(|message| Some((it.stream?, message))));
        }
        self.forget_over();
        expired
    }

    fn find(&mut self, stream: StreamId) -> Option<&mut Channel> {
        self.list.iter_mut().find(|it| it.stream == Some(stream))
    }

    /// Takes the stream and the messages from a channel, which keeps its place until its time is over.
    fn retire(&mut self, stream: StreamId) -> Vec<Message> {
        let Some(channel) = self.find(stream) else { return Vec::new() };
        channel.stream = None;
        channel.closed = true;
        let messages = std::mem::take(&mut channel.messages);
        self.messages -= messages.len();
        self.bytes -= charge_of(&messages);
        self.forget_over();
        messages
    }

    /// Forgets the channels that are closed and whose time is over.
    fn forget_over(&mut self) {
        self.list.retain(|it| {
            let stays = it.keeps || !it.closed;
            if !stays {
                self.bytes -= it.description.charge();
            }
            stays
        });
    }

    /// How many messages are kept.
    pub(in crate::sfu) fn messages(&self) -> usize {
        self.messages
    }

    /// The charge of what is kept.
    pub(in crate::sfu) fn bytes(&self) -> usize {
        self.bytes
    }
}

fn charge_of(messages: &[Message]) -> usize {
    messages.iter().map(|it| it.amount().charge).sum()
}

#[cfg(test)]
mod tests {
    use rand::rngs::StdRng;
    use rand::{Rng, SeedableRng};

    use super::*;
    use crate::proto::message::Ppid;

    #[allow(clippy::disallowed_methods, reason = "the origin of virtual time")]
    fn origin() -> Instant {
        Instant::now()
    }

    fn number(message: &Message) -> u32 {
        message.payload[..4].try_into().map(u32::from_be_bytes).expect("four bytes")
    }

    /// Removes the expected numbers of a stream, and compares them with the messages.
    fn settle(kept: &mut Vec<(StreamId, u32)>, stream: StreamId, messages: &[Message]) {
        let expected = kept.extract_if(.., |it| it.0 == stream).map(|it| it.1);
        assert!(expected.eq(messages.iter().map(number)), "in order, each once");
    }

    #[test]
    fn whatever_happens_each_message_that_is_kept_comes_out_once_and_the_bounds_hold() {
        for seed in 0..50 {
            let mut rng = StdRng::seed_from_u64(seed);
            let mut now = origin();
            let mut channels = Channels::default();
            let mut kept: Vec<(StreamId, u32)> = Vec::new();
            let streams = if rng.random_bool(0.5) { 5 } else { 100 };
            for step in 0..3000u32 {
                let stream = rng.random_range(0..streams);
                match rng.random_range(0..20) {
                    0..=5 => {
                        let label = "x".repeat(rng.random_range(0..5000));
                        let (protocol, reliability) = (String::new(), Reliability::RELIABLE);
                        let description = Description { label, protocol, reliability };
                        let (_, former) = channels.open(now, stream, description);
                        settle(&mut kept, stream, &former);
                    }
                    6..=14 => {
                        let mut payload = vec![0; 4 + rng.random_range(0..4000)];
                        payload[..4].copy_from_slice(&step.to_be_bytes());
                        let message = Message::new(Ppid::BINARY, payload.into());
                        if channels.keep(stream, &message) {
                            kept.push((stream, step));
                        }
                    }
                    15 => channels.close(stream),
                    16 => {
                        if let Some(adopted) = channels.adopt(stream) {
                            settle(&mut kept, stream, &adopted.messages);
                            assert!(channels.adopt(stream).is_none());
                        }
                    }
                    _ => {
                        now += Duration::from_millis(rng.random_range(0..1000));
                        let expired = channels.expire(now);
                        for (stream, message) in &expired {
                            let place =
                                kept.iter().position(|it| it == &(*stream, number(message)));
                            kept.remove(place.expect("kept"));
                        }
                        assert!(channels.deadline().is_none_or(|at| at > now));
                    }
                }
                let messages: usize = channels.list.iter().map(|it| it.messages.len()).sum();
                let described: usize = channels.list.iter().map(|it| it.description.charge()).sum();
                let bytes: usize = channels.list.iter().map(|it| charge_of(&it.messages)).sum();
                assert_eq!((channels.messages, channels.bytes), (messages, described + bytes));
                assert_eq!(messages, kept.len());
                assert!(messages <= MAX_MESSAGES && channels.bytes <= MAX_BYTES);
                assert!(channels.list.len() <= MAX_CHANNELS);
            }
        }
    }
}
