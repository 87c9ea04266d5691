//! How an association begins: who sends the INIT, and what becomes of the peer's (RFC 9260 §5).

use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rand::Rng;

use super::super::guard::Dropped;
use super::super::init;
use super::super::link::{Incoming, Link, Role};
use super::super::{SctpState, Start};
use super::Sctp;

/// How many milliseconds the INIT is left to the peer: browsers send theirs at once, and the first
/// retransmission comes after 1 s (RFC 9260 §16). Random, so that two that wait do not collide.
const SILENCE_MS: RangeInclusive<u64> = 1000..=2000;

/// How many milliseconds a peer that has sent an INIT has for the rest of the handshake, before we
/// send one: two of its retransmissions, after 1 s and 2 s more.
const PATIENCE_MS: RangeInclusive<u64> = 3000..=4000;

/// What an INIT costs in nanoseconds: 6,000 were measured for making an association and its answer.
const INIT_COST: u64 = 10_000;

impl Sctp {
    /// The layer below is ready. Calls after the first do nothing.
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

    /// Sends an INIT. What was begun before is forgotten.
    pub(super) fn initiate(&mut self) {
        let link = Link::initiate(&self.config).map(Box::new);
        self.replace_link(link);
    }

    fn initiate_in(&mut self, now: Instant, millis: RangeInclusive<u64>) {
        let millis = rand::rng().random_range(millis);
        self.initiate_at = Some(now + Duration::from_millis(millis));
    }

    /// Sends an INIT, as the peer has not established the association. It still may.
    pub(super) fn lose_patience(&mut self) {
        self.initiate_at = None;
        let answered = self.link.take();
        self.initiate();
        self.answered = answered;
    }

    /// The peer may still complete the handshake that it has begun and we have given up. Were it
    /// refused, it would go on trying until both have failed, deaf to our own INIT (see
    /// [`Self::on_init`]).
    pub(super) fn recall(&mut self, packet: &[u8]) {
        let completes = self.answered.as_ref().is_some_and(|link| link.awaits(packet));
        if completes && self.link.as_ref().is_none_or(|link| !link.knows_peer()) {
            let answered = self.answered.take();
            self.replace_link(answered);
        }
    }

    /// One of both is established, or neither ever will be.
    pub(super) fn forget_answered(&mut self) {
        if let Some(old) = self.answered.take() {
            old.count(&mut self.counters);
        }
    }

    /// Takes an INIT before the association is established (RFC 9260 §5.2.1). There is never more
    /// than one association: the INIT is answered by the one that there is, by one that takes its
    /// place, or not at all.
    pub(super) fn on_init(&mut self, now: Instant, packet: &Bytes) -> Incoming {
        let Some(peer_tag) = init::tag(packet) else {
            return Incoming::Dropped(Dropped::Malformed);
        };
        if let Some(link) = &mut self.link {
            match link.role {
                Role::Responder { peer_tag: known } if known == peer_tag => {
                    return link.repeat_init(now, packet);
                }
                // A new one from a peer that has begun again.
                Role::Responder { .. } => {}
                // INITs have crossed. Two of ours would each give way to the other and wait for
                // ever, so the higher tag stays; any other peer answers our INIT as well.
                Role::Initiator
                    if link.knows_peer() || link.own_tag().is_some_and(|own| own > peer_tag) =>
                {
                    return Incoming::Dropped(Dropped::Unexpected);
                }
                Role::Initiator => {}
            }
        }
        if !self.budget.take(now, INIT_COST) {
            return Incoming::Dropped(Dropped::Overload);
        }
        match Link::respond(&self.config, now, packet) {
            Ok(link) => {
                self.replace_link(Some(Box::new(link)));
                // The answer may be lost, and an association that has answered has no timer.
                if self.config.start != Start::Never {
                    self.initiate_in(now, PATIENCE_MS);
                }
                Incoming::Answered
            }
            Err(dropped) => Incoming::Dropped(dropped),
        }
    }
}
