//! The handshake: which side sends the INIT, and how one of the peer's is answered (RFC 9260 §5).

use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rand::Rng;

use super::super::config::Start;
use super::super::counters::PacketDrop;
use super::super::engine::{Engine, Verdict};
use super::super::event::SctpState;
use super::super::init::{self, Role};
use super::Association;

/// How many milliseconds we wait for the peer's INIT before we send one: browsers send theirs at
/// once, and repeat it after 1 s (RFC 9260 §16). Random, so that two that wait do not collide.
const SILENCE_MS: RangeInclusive<u64> = 1000..=2000;

/// How many milliseconds a peer has for the rest of the handshake after its INIT, before we send
/// one: two of its retransmissions, after 1 s and 2 s more.
const PATIENCE_MS: RangeInclusive<u64> = 3000..=4000;

/// What an INIT costs in nanoseconds: 6,000 were measured for making an association and its answer.
const INIT_COST: u64 = 10_000;

impl Association {
    /// Starts the handshake; the layer below is ready. Calls after the first do nothing.
    pub fn connect(&mut self, now: Instant) {
        self.clock = Some(now);
        if self.state != SctpState::New {
            return;
        }
        self.set_state(SctpState::Connecting);
        match self.config.start {
            Start::AtOnce => self.initiate(),
            Start::AfterSilence => self.initiate_in(now, SILENCE_MS),
            Start::Never => {}
        }
    }

    /// Sends an INIT, and drops the engine that there was.
    pub(super) fn initiate(&mut self) {
        let engine = Engine::initiate(&self.config).map(Box::new);
        self.replace_engine(engine);
    }

    fn initiate_in(&mut self, now: Instant, millis: RangeInclusive<u64>) {
        let millis = rand::rng().random_range(millis);
        self.initiate_at = Some(now + Duration::from_millis(millis));
    }

    /// Sends an INIT because the peer has not established the association. The peer still may.
    pub(super) fn initiate_ourselves(&mut self) {
        self.initiate_at = None;
        let answered = self.engine.take();
        self.initiate();
        self.answered_engine = answered;
    }

    /// Goes back to the engine that answered the peer's INIT if `packet` completes that handshake.
    /// Otherwise the peer would repeat its COOKIE ECHO until both sides fail, since it ignores our
    /// INIT (see [`Self::on_init`]).
    pub(super) fn recall_answered(&mut self, packet: &[u8]) {
        let completes =
            self.answered_engine.as_ref().is_some_and(|engine| engine.is_completed_by(packet));
        if completes && self.engine.as_ref().is_none_or(|engine| !engine.knows_peer()) {
            let answered = self.answered_engine.take();
            self.replace_engine(answered);
        }
    }

    /// Drops the other engine: one of the two is established, or the association has ended.
    pub(super) fn forget_answered(&mut self) {
        if let Some(old) = self.answered_engine.take() {
            old.count(&mut self.counters);
        }
    }

    /// Takes an INIT before the association is established (RFC 9260 §5.2.1). It is answered by
    /// the engine that there is, by one that replaces it, or not at all, so there is never more
    /// than one association.
    pub(super) fn on_init(&mut self, now: Instant, packet: &Bytes) -> Verdict {
        let Some(peer_tag) = init::tag(packet) else {
            return Verdict::Dropped(PacketDrop::Malformed);
        };
        if let Some(engine) = &mut self.engine {
            match engine.role {
                Role::Responder { peer_tag: known } if known == peer_tag => {
                    return engine.repeat_init(now, packet);
                }
                // A new INIT of a peer that has started again.
                Role::Responder { .. } => {}
                // INITs have crossed. If both sides gave way, both would wait without end, so the
                // higher tag stays; a peer other than ours answers our INIT as well.
                Role::Initiator
                    if engine.knows_peer()
                        || engine.own_tag().is_some_and(|own| own > peer_tag) =>
                {
                    return Verdict::Dropped(PacketDrop::Unexpected);
                }
                Role::Initiator => {}
            }
        }
        if !self.init_budget.take(now, INIT_COST) {
            return Verdict::Dropped(PacketDrop::Overload);
        }
        match Engine::respond(&self.config, now, packet) {
            Ok(engine) => {
                self.replace_engine(Some(Box::new(engine)));
                // The answer may be lost, and an engine that has answered has no timer to repeat it,
                // so this side sends an INIT after a while.
                if self.config.start != Start::Never {
                    self.initiate_in(now, PATIENCE_MS);
                }
                Verdict::InitAnswered
            }
            Err(reason) => Verdict::Dropped(reason),
        }
    }
}
