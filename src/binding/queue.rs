//! The JavaScript end of the queue: hands messages out in batches, with no object made for any.

use std::collections::VecDeque;
use std::fmt::Write;
use std::sync::Arc;

use serde::Serialize;
use serde_json::{Value, json};

use crate::proto::message::Message;
use crate::runtime::job::Job;
use crate::runtime::outbox::{Item, Outbox};
use crate::sfu::contract::parameters::NegotiatedStreams;
use crate::sfu::event::{DataConsumerEvent, DataProducerEvent, Event, TransportEvent};
use crate::sfu::id::DataConsumerKey;

use super::link::SharedLink;

/// Why [`Reader::drain`] stopped, or what comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub(super) enum Next {
    /// What was there when the cycle began has been handed out.
    Nothing = 0,
    /// The slab has no room for the next message; from [`Reader::peek`]: a message.
    SlabFull = 1,
    /// There is no room for the next record.
    RecordsFull = 2,
    /// The last record is that of a message to be taken by itself.
    LargeMessage = 3,
    /// An answer.
    Answer = 4,
    /// An event.
    Event = 5,
}

/// Four numbers each: target, PPID, offset, length.
const RECORD: usize = 4;
/// The count and the reason, in front of the records.
const HEADER: usize = 2;

/// Takes the queue in cycles: each ends with what was there when it began.
pub(super) struct Reader {
    outbox: Arc<Outbox>,
    link: SharedLink,
    cycle: VecDeque<Item>,
    in_cycle: bool,
    /// Messages handed out and not yet counted as such: consumer, messages, payload bytes.
    run: (u32, u64, u64),
}

impl Reader {
    pub(super) fn new(outbox: Arc<Outbox>, link: SharedLink) -> Self {
        Self { outbox, link, cycle: VecDeque::new(), in_cycle: false, run: (0, 0, 0) }
    }

    /// Copies messages into `slab` from `offset` on, as many as go in a row, and their records into
    /// `records`. Returns the first free offset.
    pub(super) fn drain(
        &mut self,
        slab: &mut [u8],
        mut offset: usize,
        records: &mut [u32],
    ) -> usize {
        self.begin_cycle();
        let mut count = 0;
        let reason = loop {
            let Some(item) = self.cycle.front() else {
                self.in_cycle = false;
                break Next::Nothing;
            };
            let Item::Event(Event::Message(DataConsumerKey(target), message)) = item else {
                break next(item);
            };
            let at = HEADER + RECORD * count;
            let Some(record) = records.get_mut(at..at + RECORD) else { break Next::RecordsFull };
            let (target, len) = (*target, message.payload.len());
            let large = len > slab.len() / 8;
            if !large {
                let Some(room) = slab.get_mut(offset..offset + len) else { break Next::SlabFull };
                room.copy_from_slice(&message.payload);
            }
            record.copy_from_slice(&[target, message.ppid.0, offset as u32, len as u32]);
            count += 1;
            if large {
                break Next::LargeMessage;
            }
            offset += len;
            self.cycle.pop_front();
            self.handed_out(target, len);
        };
        self.settle();
        if let [counted, stopped, ..] = records {
            *counted = count as u32;
            *stopped = reason as u32;
        }
        offset
    }

    /// What comes next in this cycle.
    pub(super) fn peek(&mut self) -> Next {
        self.begin_cycle();
        match self.cycle.front() {
            Some(Item::Event(Event::Message(..))) => Next::SlabFull,
            Some(item) => next(item),
            None => {
                self.in_cycle = false;
                Next::Nothing
            }
        }
    }

    /// The large message that the last record announced.
    pub(super) fn take_message(&mut self) -> Option<Message> {
        match self.cycle.pop_front()? {
            Item::Event(Event::Message(DataConsumerKey(target), message)) => {
                self.handed_out(target, message.payload.len());
                self.settle();
                Some(message)
            }
            item => {
                self.cycle.push_front(item);
                None
            }
        }
    }

    /// The answers that come next, as JSON.
    pub(super) fn take_answers(&mut self) -> String {
        let mut json = String::from("[");
        while let Some(Item::Answer(..)) = self.cycle.front() {
            let Some(Item::Answer(request, answer)) = self.cycle.pop_front() else { break };
            if json.len() > 1 {
                json.push(',');
            }
            // Writing to a string does not fail.
            let _ = match answer {
                Ok(result) => write!(json, "[{request},true,{result}]"),
                Err(error) => {
                    let error = json!({ "name": error.name(), "message": error.to_string() });
                    write!(json, "[{request},false,{error}]")
                }
            };
        }
        json.push(']');
        json
    }

    /// The event that comes next, as JSON; and whether it is the last of all.
    pub(super) fn take_event(&mut self) -> (String, bool) {
        match self.cycle.pop_front() {
            Some(Item::Event(event)) => (event_json(event).to_string(), false),
            Some(Item::Log(level, text)) => (json!([0, "log", level, text]).to_string(), false),
            Some(Item::Died(message)) => (json!([0, "died", message]).to_string(), false),
            Some(Item::Ended) => (json!([0, "subprocessclose"]).to_string(), true),
            // lib/ asks only when an event is next.
            Some(Item::Answer(..)) | None => ("null".into(), false),
        }
    }

    fn begin_cycle(&mut self) {
        if !self.in_cycle {
            self.in_cycle = true;
            self.outbox.take(&mut self.cycle);
        }
    }

    fn handed_out(&mut self, target: u32, len: usize) {
        if self.run.0 != target {
            self.settle();
            self.run.0 = target;
        }
        self.run.1 += 1;
        self.run.2 += len as u64;
    }

    /// Counts the messages of the run as gone, and tells the worker if that ends an overflow.
    fn settle(&mut self) {
        let (target, messages, payload) = self.run;
        if messages == 0 {
            return;
        }
        self.run = (target, 0, 0);
        if let Some(backlog) = self.link.backlogs.borrow().get(&target) {
            backlog.leave(messages, payload);
            if backlog.take_relief() {
                self.link.inbox.post(Job::Relieved(DataConsumerKey(target)));
            }
        }
    }
}

fn next(item: &Item) -> Next {
    match item {
        Item::Answer(..) => Next::Answer,
        _ => Next::Event,
    }
}

/// `[target, name, …arguments]`.
fn event_json(event: Event) -> Value {
    match event {
        Event::DataConsumer(key, event) => match event {
            DataConsumerEvent::DataProducerClose => json!([key.0, "dataproducerclose"]),
            DataConsumerEvent::DataProducerPause => json!([key.0, "dataproducerpause"]),
            DataConsumerEvent::DataProducerResume => json!([key.0, "dataproducerresume"]),
            DataConsumerEvent::SctpSendBufferFull => json!([key.0, "sctpsendbufferfull"]),
            DataConsumerEvent::BufferedAmountLow(it) => json!([key.0, "bufferedamountlow", it]),
            DataConsumerEvent::Overflow(it) => json!([key.0, "overflow", it]),
            DataConsumerEvent::StreamClose => json!([key.0, "streamclose"]),
        },
        Event::DataProducer(key, event) => match event {
            DataProducerEvent::Drain => json!([key.0, "drain"]),
            DataProducerEvent::StreamClose => json!([key.0, "streamclose"]),
        },
        Event::Transport(key, event) => match event {
            TransportEvent::IceState(state) => json!([key.0, "icestatechange", state]),
            TransportEvent::IceSelectedTuple(it) => json!([key.0, "iceselectedtuplechange", it]),
            TransportEvent::Tuple(tuple) => json!([key.0, "tuple", tuple]),
            TransportEvent::DtlsState(state, certificate) => {
                with_detail(key.0, "dtlsstatechange", state, certificate)
            }
            TransportEvent::SctpState(state, streams) => {
                let streams = streams.map(NegotiatedStreams::from);
                with_detail(key.0, "sctpstatechange", state, streams)
            }
        },
        // The runtime keeps these to itself; and messages are handed out by `drain`.
        Event::Message(..)
        | Event::TunnelFrame(..)
        | Event::SocketReleased(_)
        | Event::ConnectionReleased(_) => Value::Null,
    }
}

fn with_detail(
    target: u32,
    name: &str,
    state: impl Serialize,
    detail: Option<impl Serialize>,
) -> Value {
    match detail {
        Some(detail) => json!([target, name, state, detail]),
        None => json!([target, name, state]),
    }
}
