//! Congestion control: how many bytes may be in flight, and how fast they may leave.
//!
//! Sizes are payload bytes of DATA chunks. A controller computes; it keeps no timers and sends nothing.
//! [`controller()`] makes one.
//!
//! # Contract
//!
//! - [`Controller::on_sent`] for each packet with DATA that leaves, retransmissions included.
//! - [`Controller::on_ack`] for each acknowledgement that acknowledges something new, after the RTT and
//!   the delivery rate have been updated. If the same acknowledgement ends a recovery, call
//!   [`Controller::on_recovery_over`] first; if it reveals a loss, call [`Controller::on_loss`] after it.
//! - [`Controller::on_loss`] when a recovery begins, which is at most once per round trip. It lowers the window at
//!   once; PRR decides how the flight shrinks to it.
//! - [`Controller::on_timeout`] when the RTO fires, which ends a recovery as well.
//! - [`Controller::undo`] once it turns out that the last recovery or timeout was due to no loss.
//!
//! # The files
//!
//! | File | What it is |
//! | --- | --- |
//! | `controller` | the interface |
//! | `loss_based` | what NewReno and CUBIC share: slow start, the response to a loss, undo |
//! | `newreno`, `cubic` | how their windows grow |
//! | `hystart` | the end of the first slow start |
//! | `validation` | a window that is not used |
//! | `bbr`, `bbr/model` | BBR: its phases; what it knows of the path |

mod bbr;
#[cfg(test)]
mod bottleneck;
mod controller;
mod cubic;
mod hystart;
mod loss_based;
mod newreno;
mod validation;

use super::super::config::CongestionControl;

use self::controller::Controller;

pub(super) use self::controller::{Ack, Loss, SentPacket};

/// Any controller.
pub(super) type Congestion = Box<dyn Controller>;

/// `segment`: the payload bytes of a full packet (SMSS, PMDCS).
pub(super) fn controller(kind: CongestionControl, segment: usize) -> Congestion {
    match kind {
        CongestionControl::Cubic => Box::new(loss_based::LossBased::<cubic::Cubic>::new(segment)),
        CongestionControl::NewReno => {
            Box::new(loss_based::LossBased::<newreno::NewReno>::new(segment))
        }
        CongestionControl::Bbr => Box::new(bbr::Bbr::new(segment)),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::pacing::Pacer;
    use super::super::rate::DeliveryRate;
    use super::super::rtt::Rtt;
    use super::*;
    use crate::proto::sctp::testing::start;

    /// Numbers as an attacker or a clock that jumps would choose them.
    struct Extremes(u64);

    impl Extremes {
        fn next(&mut self) -> u64 {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            self.0
        }

        fn bytes(&mut self) -> usize {
            let any = self.next();
            match any % 6 {
                0 => 0,
                1 => 1,
                2 => u32::MAX as usize,
                3 => usize::MAX,
                _ => (any >> 40) as usize % 100_000,
            }
        }

        fn time(&mut self) -> Duration {
            let any = self.next();
            match any % 6 {
                0 => Duration::ZERO,
                1 => Duration::from_nanos(1),
                2 => Duration::from_secs(86_400),
                3 => Duration::MAX,
                _ => Duration::from_micros(any >> 44),
            }
        }
    }

    #[test]
    fn no_input_makes_a_controller_panic_or_close_its_window() {
        use CongestionControl::{Bbr, Cubic, NewReno};
        for seed in 1..=20 {
            for (kind, segment) in [(Cubic, 1152), (NewReno, 1), (Bbr, 1152), (Cubic, 0), (Bbr, 0)]
            {
                let mut any = Extremes(seed * 0x9E37_79B9);
                let mut controller = controller(kind, segment);
                let mut rate = DeliveryRate::default();
                let mut rtt = Rtt::new(Duration::from_secs(5));
                let mut pacer = Pacer::new(segment);
                let mut now = start();
                let mut states = vec![(now, rate.on_sent(now, 0))];
                for _ in 0..500 {
                    let step = any.time();
                    now = now.checked_add(step.min(Duration::from_secs(86_400))).unwrap_or(now);
                    let at = if any.next().is_multiple_of(8) { start() } else { now };
                    match any.next() % 7 {
                        0 | 1 => {
                            let (bytes, in_flight) = (any.bytes(), any.bytes());
                            states.push((at, rate.on_sent(at, in_flight)));
                            controller.on_sent(&SentPacket { now: at, in_flight });
                            pacer.on_sent(bytes);
                        }
                        2 => controller.on_loss(&Loss { in_flight: any.bytes() }),
                        3 if any.next().is_multiple_of(3) => controller.on_timeout(at, any.bytes()),
                        3 => controller.undo(),
                        4 if any.next().is_multiple_of(2) => controller.on_recovery_over(at),
                        _ => {
                            let bytes = any.bytes();
                            let sample = any.time();
                            rtt.on_sample(at, sample);
                            let (sent_at, state) = states[any.next() as usize % states.len()];
                            rate.on_acked(at, bytes, sent_at, state);
                            let delivery = rate.on_ack(at, rtt.min());
                            controller.on_ack(&Ack {
                                now: at,
                                bytes,
                                lost: any.bytes(),
                                in_flight: any.bytes(),
                                rtt: &rtt,
                                round_trip: (any.next().is_multiple_of(2)).then_some(sample),
                                rate: delivery.rate,
                                round_over: any.next().is_multiple_of(2),
                                window_limited: any.next().is_multiple_of(2),
                                in_recovery: any.next().is_multiple_of(4),
                            });
                        }
                    }
                    assert!(controller.window() >= segment.max(1), "{kind:?}, seed {seed}");
                    let pace = controller.pacing_rate(&rtt);
                    let wait = pacer.wait(at, pace, &rtt);
                    assert!(wait.is_none_or(|until| until <= at + Duration::from_secs(1)));
                }
            }
        }
    }
}
