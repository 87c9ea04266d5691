//! The turn: what a worker's thread does, over and over.
//!
//! ```text
//! wait for a readable socket, a job or the next deadline
//!   jobs                    ─► sfu, or their lane
//!   what waits in the lanes ─► sfu
//!   datagrams               ─► sfu
//!   deadlines, and what the last turn has left ─► sfu
//!   dirty transports, each once ─► datagrams ─► sockets
//!   events and answers      ─► outbox, with one wake
//! ```
//!
//! Each part has a share of about half a millisecond, counted by the work that is caused and not by what comes in (see
//! `sfu/work.rs`; reading sockets is timed). What exceeds it is done in the next turn, after the other parts had
//! theirs: so a peer is answered within a few milliseconds, however much JavaScript sends or another peer causes.
//! Datagrams come after jobs and lanes, and right before what they cause leaves: a peer waits for these two at most once.
//!
//! Everything in a turn happens at the time of its beginning. Other readings of the clock only measure.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use tokio::time::{Sleep, sleep_until};

use crate::proto::net::SocketId;
use crate::sfu::contract::metrics::WorkerMetrics;

use super::clock;
use super::job::Job;
use super::world::{WorkerInbox, World};

/// How long the thread stays awake for the next job, if JavaScript was as quick after the last turn. Sleeping
/// and being woken costs about as much (25 µs and more on either side where a virtual core halts), so waiting
/// is never much worse than the better choice. A sender that sends only every few milliseconds does not keep
/// the thread awake.
const PATIENCE: Duration = Duration::from_micros(50);

/// How often the thread checks the inbox between two checks of the sockets. That many checks take a few
/// microseconds.
const LOOKS: usize = 100;

/// The delay of the timer when there is no deadline.
const FAR: Duration = Duration::from_secs(3600);

/// Runs the turns of one [`World`].
pub(super) struct Driver {
    world: World,
    inbox: Arc<WorkerInbox>,
    /// Jobs that were taken from the inbox and left for the next turn, because their share was used up.
    jobs: VecDeque<Job<World>>,
    readable: Vec<SocketId>,
    /// Whether JavaScript has answered within [`PATIENCE`] of the last turn.
    in_conversation: bool,
}

impl Driver {
    pub(super) fn new(world: World, inbox: Arc<WorkerInbox>) -> Self {
        let (jobs, readable) = (VecDeque::new(), Vec::new());
        Self { world, inbox, jobs, readable, in_conversation: false }
    }

    /// Serves until the worker is closed. Returns its last metrics.
    pub(super) async fn run(mut self) -> WorkerMetrics {
        let mut sleep = pin!(sleep_until((clock::now() + FAR).into()));
        let mut turn = None;
        while !self.inbox.is_ending() {
            let began = clock::now();
            turn.into_iter().for_each(|it| self.world.turns.observe(began - it));
            if self.jobs.is_empty() && self.readable.is_empty() && !self.world.has_more(began) {
                if !(self.in_conversation && self.linger(began).await) {
                    self.wait(sleep.as_mut()).await;
                }
                self.in_conversation = clock::now() - began < PATIENCE;
            } else {
                // Jobs may never run out, so this lets tokio look at the sockets.
                tokio::task::yield_now().await;
            }
            self.inbox.take(&mut self.jobs, &mut self.readable);
            // If JavaScript shares this thread's core, it runs only while this thread sleeps.
            self.in_conversation &= !self.jobs.is_empty() && !self.inbox.was_woken_from_this_core();
            let now = clock::now();
            self.turn(now).await;
            turn = Some(now);
        }
        turn.into_iter().for_each(|it| self.world.turns.observe(clock::now() - it));
        // What was posted just before still gets one turn.
        self.inbox.take(&mut self.jobs, &mut self.readable);
        self.turn(clock::now()).await;
        self.world.end(&self.jobs);
        self.inbox.close();
        self.world.metrics()
    }

    async fn turn(&mut self, now: Instant) {
        self.world.sfu.begin_turn(now);
        self.world.do_jobs(&mut self.jobs);
        self.world.serve_lanes();
        if !self.jobs.is_empty() || self.world.lanes.has_turns() {
            // They have taken their share, so this lets tokio look for what has arrived meanwhile.
            tokio::task::yield_now().await;
            self.inbox.take(&mut self.jobs, &mut self.readable);
        }
        self.world.receive(&mut self.readable, now);
        self.world.handle_timeouts(now);
        self.world.transmit();
        self.world.finish_turn();
    }

    /// Stays awake for a moment and looks at the sockets now and then. Returns whether there is work.
    async fn linger(&mut self, began: Instant) -> bool {
        while clock::now() - began < PATIENCE {
            // JavaScript often answers before it goes to sleep itself. If the inbox is seen filled
            // within nanoseconds, neither thread has to be woken. A look at the sockets takes longer.
            for _ in 0..LOOKS {
                if self.inbox.is_filled() {
                    return true;
                }
                std::hint::spin_loop();
            }
            tokio::task::yield_now().await;
        }
        false
    }

    /// Waits for work or for the next deadline.
    async fn wait(&mut self, mut sleep: Pin<&mut Sleep>) {
        let deadline = self.world.poll_timeout();
        if let Some(deadline) = deadline
            && sleep.deadline().into_std() != deadline
        {
            sleep.as_mut().reset(deadline.into());
        }
        poll_fn(|cx| {
            let fired = deadline.is_some() && sleep.as_mut().poll(cx).is_ready();
            if fired { Poll::Ready(()) } else { self.inbox.poll_filled(cx) }
        })
        .await;
    }
}

#[cfg(test)]
mod tests;
