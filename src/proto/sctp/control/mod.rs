//! Transmission control: when DATA leaves, and when it leaves again.

mod congestion;
mod pacing;
mod rate;
mod rtt;
