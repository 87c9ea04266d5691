//! The configuration of an association.

use std::time::Duration;

use serde::Deserialize;

/// Which side sends the INIT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// The peer sends the INIT. If none has come after half a second, we send one.
    AfterSilence,
    /// We send the INIT, in [`Association::connect`].
    ///
    /// [`Association::connect`]: super::Association::connect
    AtOnce,
    /// The peer sends the INIT, however long that takes. If several peers try, the first to complete the
    /// handshake wins; until then an ABORT or a violation ends only the attempt.
    Never,
}

/// Which algorithm sets the congestion window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CongestionControl {
    /// CUBIC (RFC 9438).
    #[default]
    Cubic,
    /// NewReno (RFC 9260 §7.2).
    NewReno,
    /// BBR (draft-ietf-ccwg-bbr): follows the measured rate, and loss only above a ceiling.
    Bbr,
}

/// The receive window is capped at the larger of two messages of the maximum size and this many bytes.
const MIN_WINDOW_CAP: u32 = 1024 * 1024;

/// The room beside one message of the maximum size, for what the peer sends after it.
const WINDOW_BESIDE_MESSAGE: u32 = 64 * 1024;

/// The configuration of an association. Sizes are in bytes.
#[derive(Debug, Clone)]
pub struct SctpConfig {
    /// The largest message that [`Association::send`] accepts.
    ///
    /// [`Association::send`]: super::Association::send
    pub max_send_message_size: u32,
    /// The largest message that the peer may send; a larger one ends the association.
    pub max_receive_message_size: u32,
    /// The bound of all queued payload together; see [`SendError::Full`].
    ///
    /// [`SendError::Full`]: super::SendError::Full
    pub send_buffer_size: usize,
    /// The bound of each stream's queued payload.
    pub per_stream_send_queue_limit: usize,
    /// The receive window that is asked for; see [`Self::receive_window`].
    pub max_receiver_window: u32,
    /// The threshold that streams start with; see [`SctpEvent::BufferedAmountLow`].
    ///
    /// [`SctpEvent::BufferedAmountLow`]: super::SctpEvent::BufferedAmountLow
    pub buffered_amount_low_threshold: usize,
    /// Which algorithm sets the congestion window.
    pub congestion_control: CongestionControl,
    /// Which side sends the INIT.
    pub start: Start,
    /// The largest SCTP packet to send, common header included.
    pub max_packet_size: usize,
    /// Whether streams are data channels: a DATA_CHANNEL_OPEN is answered (RFC 8832), and closing one
    /// direction of a stream closes the other (RFC 8831 §6.7). Otherwise the two directions are
    /// independent, and we never reset ours.
    pub data_channels: bool,
    /// The silence of the peer after which the association fails, asked by HEARTBEATs (RFC 9260 §8.1, §8.3). `None`
    /// where the layer below notices that the peer is gone: then no HEARTBEATs are sent.
    pub silence: Option<Duration>,
}

impl SctpConfig {
    /// The receive window in force, in bytes. The cap bounds the memory of each peer. The window always has
    /// room for one message of `max_receive_message_size` and 64 KiB more: sctp-proto hands over whole
    /// messages only, so a larger message would fill the window and never be complete.
    pub fn receive_window(&self) -> u32 {
        let largest = self.max_receive_message_size;
        let cap = largest.saturating_mul(2).max(MIN_WINDOW_CAP);
        let least = largest.saturating_add(WINDOW_BESIDE_MESSAGE);
        self.max_receiver_window.min(cap).max(least)
    }
}
