//! Congestion control: how many bytes may be in flight, and how fast they may leave.
//!
//! Sizes are payload bytes of DATA chunks. A controller computes; it keeps no timers and sends nothing.
//! [`controller`] makes one.
//!
//! # Contract
//!
//! - [`Controller::on_sent`] for each packet with DATA that leaves, retransmissions included.
//! - [`Controller::on_ack`] for each acknowledgement that acknowledges something new, after the RTT and
//!   the delivery rate have been updated. If the same acknowledgement ends a recovery, call
//!   [`Controller::on_recovery_over`] first; if it reveals a loss, call [`Controller::on_loss`] after it.
//! - [`Controller::on_loss`] when a recovery begins, which is at most once per round trip. The window
//!   is the lower one from then on. How the flight shrinks to it is a question for PRR.
//! - [`Controller::on_timeout`] when the RTO fires, which ends a recovery as well.
//! - [`Controller::undo`] once it turns out that nothing of the last recovery or timeout was lost.
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
mod controller;
mod cubic;
mod hystart;
mod loss_based;
mod newreno;
#[cfg(test)]
mod pipe;
mod validation;

use super::super::config::CongestionControl;

pub(super) use self::controller::{Ack, Controller, Loss, Sent};

/// `segment`: the payload bytes of a full packet (SMSS, PMDCS).
pub(super) fn controller(kind: CongestionControl, segment: usize) -> Box<dyn Controller> {
    match kind {
        CongestionControl::Cubic => Box::new(loss_based::LossBased::<cubic::Cubic>::new(segment)),
        CongestionControl::NewReno => {
            Box::new(loss_based::LossBased::<newreno::NewReno>::new(segment))
        }
        CongestionControl::Bbr => Box::new(bbr::Bbr::new(segment)),
    }
}
