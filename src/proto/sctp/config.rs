//! The configuration of an association.

/// Which side sends the INIT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// The peer sends the INIT. If none has come after 1 to 2 seconds, we send one.
    AfterSilence,
    /// We send the INIT, in [`Association::connect`].
    ///
    /// [`Association::connect`]: super::Association::connect
    AtOnce,
    /// The peer sends the INIT, however long that takes. If several peers try, the first to complete the
    /// handshake wins; until then an ABORT or a violation ends only the attempt.
    Never,
}

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
    /// The receive window. The window in force is at most the larger of 1 MiB and twice
    /// `max_receive_message_size`, and at least 1,500 bytes.
    pub max_receiver_window: u32,
    /// The threshold that streams start with; see [`SctpEvent::BufferedAmountLow`].
    ///
    /// [`SctpEvent::BufferedAmountLow`]: super::SctpEvent::BufferedAmountLow
    pub buffered_amount_low_threshold: usize,
    /// Which side sends the INIT.
    pub start: Start,
    /// The largest SCTP packet to send, common header included.
    pub max_packet_size: usize,
    /// Whether streams are data channels: a DATA_CHANNEL_OPEN is answered (RFC 8832), and closing one
    /// direction of a stream closes the other (RFC 8831 §6.7). Otherwise the two directions are
    /// independent, and we never reset ours.
    pub data_channels: bool,
    /// Whether to send HEARTBEATs to a silent peer, and to fail when it answers none (RFC 9260 §8.1,
    /// §8.3). Not needed where the layer below notices that the peer is gone.
    pub heartbeats: bool,
}
