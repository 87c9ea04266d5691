//! Hands out what the outbox holds: messages in batches, without an object for each, answers and events
//! as JSON. Counts what was handed out in the backlogs.

use std::collections::VecDeque;
use std::fmt::Write;
use std::sync::Arc;

use serde_json::json;

use crate::proto::message::{Amount, Message};
use crate::runtime::clock;
use crate::runtime::outbox::{Item, Outbox};
use crate::sfu::direct_queue::Taken;
use crate::sfu::event::{DataConsumerEvent, Event};
use crate::sfu::id::DataConsumerKey;

use super::batcher::SharedBatcher;
use super::events;

/// Why [`Reader::drain`] stopped, or what comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub(super) enum Next {
    /// The cycle has ended: every item that it began with was handed out.
    Nothing = 0,
    /// A message, for which there is no room or no record left.
    Message = 2,
    /// The message of the last record is too large for the scratch: see [`Reader::take_message`].
    LargeMessage = 3,
    /// An answer.
    Answer = 4,
    /// An event.
    Event = 5,
}

/// A record has four numbers: target, PPID, offset, length.
const RECORD: usize = 4;
/// A header of two numbers precedes the records: how many there are, and the reason to stop.
const HEADER: usize = 2;

/// Takes the queue in cycles. A cycle has the items that were in the outbox when the cycle began.
pub(super) struct Reader {
    outbox: Arc<Outbox>,
    batcher: SharedBatcher,
    cycle: VecDeque<Item>,
    in_cycle: bool,
    /// Whether messages are dropped, because JavaScript has closed the worker.
    closed: bool,
    /// The consumer of the messages that were handed out and not yet counted, and their amount.
    run: (u32, Amount),
}

impl Reader {
    pub(super) fn new(outbox: Arc<Outbox>, batcher: SharedBatcher) -> Self {
        Self {
            outbox,
            batcher,
            cycle: VecDeque::new(),
            in_cycle: false,
            closed: false,
            run: (0, Amount::default()),
        }
    }

    /// From now on messages are thrown away.
    pub(super) fn close(&mut self) {
        self.closed = true;
    }

    /// Copies messages into `scratch`, as long as no answer or event comes in between, and their records into
    /// `records`.
    pub(super) fn drain(&mut self, scratch: &mut [u8], records: &mut [u32]) {
        self.begin_cycle();
        let (mut count, mut offset) = (0, 0);
        let reason = loop {
            self.take_samples();
            let Some(item) = self.cycle.front() else {
                self.in_cycle = false;
                break Next::Nothing;
            };
            let (target, message) = match item {
                Item::Event(Event::Message(DataConsumerKey(target), message)) => (target, message),
                // A message can be pulled only after JavaScript has got everything before it.
                Item::Event(Event::Queued(_, token)) if count > 0 && token.is_pulled() => {
                    break Next::Message;
                }
                Item::Event(Event::Queued(..)) => {
                    self.redeem();
                    continue;
                }
                _ => break next(item),
            };
            let at = HEADER + RECORD * count;
            let Some(record) = records.get_mut(at..at + RECORD) else { break Next::Message };
            let (target, len) = (*target, message.payload.len());
            let large = len > scratch.len() / 8;
            if !large {
                let Some(room) = scratch.get_mut(offset..offset + len) else { break Next::Message };
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
    }

    /// What comes next in this cycle.
    pub(super) fn peek(&mut self) -> Next {
        self.begin_cycle();
        self.take_samples();
        match self.cycle.front() {
            Some(Item::Event(Event::Message(..) | Event::Queued(..))) => Next::Message,
            Some(item) => next(item),
            None => {
                self.in_cycle = false;
                Next::Nothing
            }
        }
    }

    /// The message of the last record, after [`Next::LargeMessage`].
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

    /// The answers that come next, as JSON: `[[request, ok, result or error], …]`.
    pub(super) fn take_answers(&mut self) -> String {
        let mut json = String::from("[");
        while let Some(Item::Answer(..)) = self.cycle.front() {
            let Some(Item::Answer(request, answer)) = self.cycle.pop_front() else { break };
            self.batcher.backlogs.borrow_mut().answered(request);
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

    /// The event that comes next, as JSON, and whether it is the last one of the worker.
    pub(super) fn take_event(&mut self) -> (String, bool) {
        match self.cycle.pop_front() {
            Some(Item::Event(event)) => (events::to_json(event).to_string(), false),
            Some(Item::Log(level, text)) => (json!([0, "log", level, text]).to_string(), false),
            Some(Item::Died(message)) => (json!([0, "died", message]).to_string(), false),
            Some(Item::Ended(metrics)) => {
                let metrics = metrics.as_deref().unwrap_or("null");
                (format!(r#"[0,"subprocessclose",{metrics}]"#), true)
            }
            // lib/ calls this only if an event is next.
            Some(Item::Answer(..) | Item::Sampled(_)) | None => ("null".into(), false),
        }
    }

    /// Counts the delay of the last message, if it is one that is measured.
    fn take_samples(&mut self) {
        while let Some(Item::Sampled(at)) = self.cycle.front() {
            self.outbox.count_delay(clock::now().saturating_duration_since(*at));
            self.cycle.pop_front();
        }
    }

    fn begin_cycle(&mut self) {
        if !self.in_cycle {
            self.in_cycle = true;
            self.outbox.take(&mut self.cycle);
        }
        while self.closed
            && let Some(Item::Event(Event::Message(..) | Event::Queued(..)) | Item::Sampled(_)) =
                self.cycle.front()
        {
            self.cycle.pop_front();
        }
    }

    /// Replaces the token at the front by its message, if the queue still has it.
    fn redeem(&mut self) {
        let Some(Item::Event(Event::Queued(key, token))) = self.cycle.pop_front() else { return };
        let event = match token.take(clock::now()) {
            Taken::Message(message, sampled) => {
                sampled.into_iter().for_each(|at| self.cycle.push_front(Item::Sampled(at)));
                Event::Message(key, message)
            }
            Taken::Ready => Event::DataConsumer(key, DataConsumerEvent::Ready),
            Taken::Nothing => {
                // The message may have been dropped as too old.
                return self.batcher.relieve(key, token.backlog());
            }
        };
        self.cycle.push_front(Item::Event(event));
    }

    fn handed_out(&mut self, target: u32, len: usize) {
        if self.run.0 != target {
            self.settle();
            self.run.0 = target;
        }
        self.run.1 += Amount::of(len);
    }

    /// Counts the messages of the run as handed out.
    fn settle(&mut self) {
        let (target, amount) = std::mem::take(&mut self.run);
        if amount.charge == 0 {
            return;
        }
        if let Some(backlog) = self.batcher.backlogs.borrow().get(target) {
            backlog.leave(amount);
            self.batcher.relieve(DataConsumerKey(target), backlog);
        }
    }
}

fn next(item: &Item) -> Next {
    match item {
        Item::Answer(..) => Next::Answer,
        _ => Next::Event,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::binding::batcher::Batcher;
    use crate::proto::message::{Ppid, charge};
    use crate::runtime::job::Job;
    use crate::runtime::world::WorkerInbox;
    use crate::sfu::backlog::Backlog;

    const CONSUMER: u32 = 7;
    const LEN: usize = 36;

    /// A queue with `count` messages for a DataConsumer whose backlog they fill, and which has dropped
    /// more of them.
    fn overflowed(count: usize) -> (Reader, Arc<WorkerInbox>, Arc<Backlog>) {
        let inbox = Arc::new(WorkerInbox::default());
        let batcher = Batcher::new(Arc::clone(&inbox));
        let backlog = Arc::new(Backlog::new((count * charge(LEN)) as u64));
        batcher.backlogs.borrow_mut().request(CONSUMER, Arc::clone(&backlog));
        batcher.backlogs.borrow_mut().answered(CONSUMER);
        let outbox = Arc::new(Outbox::new(|| ()));
        for _ in 0..count {
            assert!(backlog.try_enter(Amount::of(LEN)));
            let message = Message::new(Ppid::BINARY, vec![0; LEN].into());
            let event = Event::Message(DataConsumerKey(CONSUMER), message);
            outbox.push(&mut VecDeque::from([Item::Event(event)]));
        }
        assert!(!backlog.try_enter(Amount::of(LEN)) && backlog.overflow());
        (Reader::new(outbox, batcher), inbox, backlog)
    }

    fn relieved(inbox: &WorkerInbox) -> usize {
        let mut jobs = VecDeque::new();
        inbox.take(&mut jobs, &mut Vec::new());
        let relieved = |job: &Job<_>| matches!(job, Job::Relieved(DataConsumerKey(CONSUMER)));
        assert!(jobs.iter().all(relieved), "nothing else is posted");
        jobs.len()
    }

    #[test]
    fn the_worker_is_notified_once_when_half_of_an_overflowed_backlog_has_been_handed_out() {
        let (mut reader, inbox, backlog) = overflowed(8);
        let mut scratch = [0; 1024];
        let mut records = [0; HEADER + RECORD];
        for handed_out in 1..=8 {
            reader.drain(&mut scratch, &mut records);
            let next = Next::Message as u32 * u32::from(handed_out < 8);
            assert_eq!(records, [1, next, CONSUMER, Ppid::BINARY.0, 0, LEN as u32]);
            assert_eq!(relieved(&inbox), usize::from(handed_out == 4), "after {handed_out}");
        }
        assert_eq!(backlog.payload(), 0);
    }

    #[test]
    fn a_message_can_be_pulled_once_javascript_has_been_given_those_before_it() {
        const BEFORE: usize = 3;
        let (mut reader, _inbox, backlog) = overflowed(BEFORE);
        backlog.use_queue().begin_pulls();
        backlog.leave(Amount::of(LEN));
        let message = Message::new(Ppid::BINARY, vec![1; LEN].into());
        let now = clock::now();
        let token = backlog.push(now, message).expect("there is room");
        let event = Event::Queued(DataConsumerKey(CONSUMER), token);
        reader.outbox.push(&mut VecDeque::from([Item::Event(event)]));
        let mut scratch = [0; 1024];
        let mut records = [0; HEADER + (BEFORE + 1) * RECORD];
        reader.drain(&mut scratch, &mut records);
        assert_eq!(records[..2], [BEFORE as u32, Next::Message as u32]);
        assert!(backlog.pull(now).is_none());
        reader.drain(&mut scratch, &mut records);
        assert_eq!(records[..2], [0, Next::Event as u32], "the pull is answered");
        assert_eq!(backlog.pull(now).map(|it| it.0.payload[0]), Some(1));
    }

    #[test]
    fn a_large_message_is_counted_when_it_is_taken() {
        let (mut reader, inbox, backlog) = overflowed(1);
        let mut scratch = [0; 8 * LEN - 1];
        let mut records = [0; HEADER + RECORD];
        reader.drain(&mut scratch, &mut records);
        assert_eq!(records[..2], [1, Next::LargeMessage as u32]);
        assert_eq!((backlog.payload(), relieved(&inbox)), (LEN as u64, 0));
        assert_eq!(reader.take_message().map(|it| it.payload.len()), Some(LEN));
        assert_eq!((backlog.payload(), relieved(&inbox)), (0, 1));
    }
}
