//! Sockets on which peers send faster than the worker reads.
//!
//! The kernel keeps what has arrived on a socket until the worker reads it, and drops what exceeds the buffer: often
//! everything that a peer has in flight, so that the peer waits for a timeout. A receive window bounds what one peer
//! has in flight, but not what all peers of a socket have. So while a socket is crowded, the peers that send much share
//! its buffer: their associations announce no larger window than that share. The share grows in steps, because senders
//! would fill a window that opens wide at once, and falls when the socket is crowded again.

use std::time::{Duration, Instant};

use rustc_hash::FxHashMap;

use crate::proto::net::SocketId;

/// In each period the peers that send much are counted again. Their room grows by a quarter, or halves if the socket
/// was crowded again.
const PERIOD: Duration = Duration::from_millis(100);

/// The smallest window to announce, in bytes: two full packets, because a single one is acknowledged late. A peer that
/// sends less in a [`PERIOD`] does not count.
const MIN_WINDOW: usize = 2500;

/// With this much room a socket is no longer crowded.
const ENOUGH: usize = 128 * 1024 * 1024;

/// How long a peer keeps to its share: longer than a SACK may be late.
const KEPT: Duration = Duration::from_millis(500);

/// The sockets that are crowded.
#[derive(Debug, Default)]
pub(super) struct Crowds(FxHashMap<SocketId, Crowd>);

#[derive(Debug)]
struct Crowd {
    /// The bytes that the senders share.
    room: usize,
    /// Whether the room was halved in this period.
    halved: bool,
    /// The end of this period, which also identifies it.
    period: Instant,
    /// How many peers have sent much, in earlier periods and so far in this one. The former falls slowly, because a
    /// peer that pauses returns with the window last announced to it.
    senders: [usize; 2],
}

/// What a peer has sent through a crowded socket in a period.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct SentInPeriod {
    period: Option<Instant>,
    bytes: usize,
}

impl Crowds {
    /// Notes that the worker has found this socket crowded. Its senders may have at least `room` bytes in flight.
    pub(super) fn note(&mut self, now: Instant, socket: SocketId, room: usize) {
        self.0.retain(|_, crowd| {
            crowd.advance(now);
            crowd.room < ENOUGH
        });
        let new = Crowd { room, halved: true, period: now + PERIOD, senders: [0, 0] };
        let crowd = self.0.entry(socket).or_insert(new);
        if !std::mem::replace(&mut crowd.halved, true) {
            crowd.room = room.max(crowd.room / 2);
        }
    }

    /// Counts `len` bytes that a peer has sent through this socket. If it is crowded, returns the largest window to
    /// announce to the peer, and until when.
    pub(super) fn count(
        &mut self,
        now: Instant,
        socket: SocketId,
        sent: &mut SentInPeriod,
        len: usize,
    ) -> Option<(usize, Instant)> {
        if self.0.is_empty() {
            return None;
        }
        let crowd = self.0.get_mut(&socket)?;
        crowd.advance(now);
        if crowd.room >= ENOUGH {
            self.0.remove(&socket);
            return None;
        }
        if sent.period != Some(crowd.period) {
            *sent = SentInPeriod { period: Some(crowd.period), bytes: 0 };
        }
        let sent_much = sent.bytes >= MIN_WINDOW;
        sent.bytes += len;
        crowd.senders[1] += usize::from(!sent_much && sent.bytes >= MIN_WINDOW);
        let senders = crowd.senders[0].max(crowd.senders[1]).max(1);
        Some(((crowd.room / senders).max(MIN_WINDOW), now + KEPT))
    }
}

impl Crowd {
    /// Begins the periods that are due.
    fn advance(&mut self, now: Instant) {
        while self.period <= now && self.room < ENOUGH {
            self.period += PERIOD;
            self.senders = [self.senders[1].max(self.senders[0] * 3 / 4), 0];
            if !std::mem::take(&mut self.halved) {
                self.room += self.room / 4 + 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOCKET: SocketId = SocketId(1);
    const ROOM: usize = 1 << 20;

    #[allow(clippy::disallowed_methods, reason = "the origin of virtual time")]
    fn origin() -> Instant {
        Instant::now()
    }

    #[test]
    fn a_socket_that_is_not_crowded_limits_no_window() {
        let (mut crowds, now) = (Crowds::default(), origin());
        assert_eq!(crowds.count(now, SOCKET, &mut SentInPeriod::default(), 5000), None);
        crowds.note(now, SocketId(2), ROOM);
        assert_eq!(crowds.count(now, SOCKET, &mut SentInPeriod::default(), 5000), None);
    }

    #[test]
    fn the_room_of_a_crowded_socket_grows_until_there_is_enough_for_all() {
        let (mut crowds, mut now) = (Crowds::default(), origin());
        let mut sent = SentInPeriod::default();
        let mut window = |crowds: &mut Crowds, now| {
            crowds.count(now, SOCKET, &mut sent, 5000).map(|(window, _)| window)
        };
        crowds.note(now, SOCKET, ROOM);
        assert_eq!(window(&mut crowds, now), Some(ROOM));
        now += 5 * PERIOD;
        let grown = window(&mut crowds, now).expect("a limit");
        assert!(2 * ROOM < grown && grown < 3 * ROOM, "{grown}");

        // The socket is crowded again, twice in one period.
        crowds.note(now, SOCKET, ROOM);
        crowds.note(now, SOCKET, ROOM);
        assert_eq!(window(&mut crowds, now), Some(grown / 2));

        assert_eq!(window(&mut crowds, now + 30 * PERIOD), None);
        assert!(crowds.0.is_empty());
    }

    #[test]
    fn those_that_send_much_share_the_room_of_a_crowded_socket() {
        let (mut crowds, mut now) = (Crowds::default(), origin());
        let mut sent = [SentInPeriod::default(); 10];
        // Five send 6,000 bytes in each period, five 60.
        for _ in 0..30 {
            crowds.note(now, SOCKET, ROOM);
            now += PERIOD / 10;
            for (index, sent) in sent.iter_mut().enumerate() {
                crowds.count(now, SOCKET, sent, if index < 5 { 600 } else { 6 });
            }
        }
        let (window, until) = crowds.count(now, SOCKET, &mut sent[0], 1).expect("a limit");
        assert_eq!(window, ROOM / 5);
        assert!(now < until);
    }

    #[test]
    fn the_share_of_many_is_still_two_packets() {
        let (mut crowds, now) = (Crowds::default(), origin());
        crowds.note(now, SOCKET, ROOM);
        let mut least = ROOM;
        for _ in 0..1000 {
            let share = crowds.count(now, SOCKET, &mut SentInPeriod::default(), 5000);
            least = share.expect("a limit").0;
        }
        assert_eq!(least, MIN_WINDOW);
    }
}
