//! An association with a peer that sends anything: packets that the guard accepts must not make
//! sctp-proto panic, cause packets that are too large, or hold more memory than the bound.

use std::time::{Duration, Instant};

use datasoup::proto::message::{Message, Ppid, Reliability};
use datasoup::proto::sctp::{Association, SctpConfig, SctpEvent, SctpState, Start};

use crate::heap::live;
use crate::input::Input;
use crate::peers::{MAX_PACKET, config};
use crate::puppet::{COOKIE_ACK, FIRST_TSN, OWN_TAG, Puppet, chunk, extensions};
use crate::script::{Step, perform};
use crate::sim::start;

/// The bound of an association's heap in bytes: 2 MB of queued messages, the window of 1 MiB, and the
/// overhead of 4,096 chunks and 8,192 streams.
const MAX_HEAP: i64 = 12 << 20;

/// The association under test, and the scripted peer.
struct Scene {
    now: Instant,
    sctp: Association,
    config: SctpConfig,
    state: SctpState,
    puppet: Puppet,
    /// The number of packets that the association has sent.
    sent: u32,
}

/// `data` is one byte of flags (see [`Scene::new`]), then a script (see `script.rs`).
pub fn run(data: &[u8]) {
    let before = live();
    let mut input = Input::new(data);
    let mut scene = Scene::new(input.byte());
    perform(input, before, MAX_HEAP, |step, budget| scene.act(step, budget));
    scene.wait(Duration::from_secs(60));
    scene.sctp.abort(scene.now);
    scene.listen();
    assert_eq!(scene.sctp.state(), scene.state);
    assert_eq!(rank(scene.state), LAST);
    let held = live() - before;
    assert!(held <= 64 * 1024, "the association holds {held} bytes after its end");
}

impl Scene {
    /// Flags from the lowest bit: no data channels; a small maximum message size; a small window; few
    /// streams; the script does the handshake; the association under test sends the INIT.
    fn new(flags: u8) -> Self {
        let flag = |bit: u8| flags & 1 << bit != 0;
        let config = SctpConfig {
            data_channels: !flag(0),
            max_receive_message_size: if flag(1) { 5000 } else { 262_144 },
            max_receiver_window: if flag(2) { 1500 } else { 5_242_880 },
            start: if flag(5) { Start::AtOnce } else { Start::AfterSilence },
            ..config()
        };
        let streams = if flag(3) { (10, 10) } else { (u16::MAX, u16::MAX) };
        let mut scene = Self {
            now: start(),
            sctp: Association::new(config.clone()),
            config,
            state: SctpState::New,
            puppet: Puppet::new(OWN_TAG, FIRST_TSN),
            sent: 0,
        };
        scene.sctp.connect(scene.now);
        scene.listen();
        if !flag(4) {
            if flag(5) {
                scene.packet(scene.puppet.init_ack(streams));
                scene.packet(scene.puppet.packet(&[chunk(COOKIE_ACK, 0, &[])]));
            } else {
                scene.packet(scene.puppet.init(streams, &extensions()));
                scene.packet(scene.puppet.cookie_echo());
            }
            assert_eq!(scene.state, SctpState::Connected);
        }
        scene
    }

    /// Performs a step with at most `budget` packets. Returns how many may still be sent.
    fn act(&mut self, step: Step<'_>, mut budget: u32) -> u32 {
        match step {
            Step::Packets(recipe, times) => {
                for _ in 0..u32::from(times).min(budget) {
                    let packet = recipe.cook(&mut self.puppet);
                    self.packet(packet);
                    budget -= 1;
                }
            }
            Step::Raw(packet) | Step::Stranger(packet) => {
                self.packet(packet.to_vec().into());
            }
            Step::Check { .. } => {}
            Step::Wait(time) => self.wait(time),
            Step::Send { channel, len } => {
                let stream = u16::from(channel % 4);
                if self.sctp.is_stream_free(stream) {
                    let ordered = channel & 4 == 0;
                    self.sctp.open_stream(stream, Reliability { ordered, limit: None });
                }
                // Some messages take many packets.
                let len = if channel & 8 == 0 { len.into() } else { usize::from(len) * 4 };
                let message = Message::new(Ppid::BINARY, vec![channel; len].into());
                let _ = self.sctp.send(self.now, stream, message);
                self.listen();
            }
            Step::Reopen { channel } => {
                self.sctp.reset_stream(u16::from(channel % 4));
                self.listen();
            }
        }
        budget
    }

    fn packet(&mut self, packet: bytes::Bytes) {
        self.sctp.handle_packet(self.now, packet);
        self.listen();
    }

    /// Takes and checks the packets and events of the association.
    fn listen(&mut self) {
        let Self { sctp, puppet, sent, .. } = self;
        sctp.drain_transmits(self.now, |packet| {
            assert!(packet.len() <= MAX_PACKET, "a packet of {} bytes", packet.len());
            *sent += 1;
            puppet.learn(packet);
        });
        while let Some(event) = self.sctp.poll_event() {
            match event {
                SctpEvent::State(state) => {
                    assert!(rank(state) > rank(self.state), "{state:?} after {:?}", self.state);
                    self.state = state;
                }
                SctpEvent::Message { message, .. } => {
                    assert_ne!(message.ppid, Ppid::DCEP);
                    assert!(!message.payload.is_empty());
                    let largest = self.config.max_receive_message_size as usize;
                    assert!(message.payload.len() <= largest);
                }
                SctpEvent::ChannelOpened { .. } => assert!(self.config.data_channels),
                SctpEvent::Control { .. } => assert!(!self.config.data_channels),
                SctpEvent::StreamReset { .. } => {}
                SctpEvent::BufferedAmountLow { .. }
                | SctpEvent::FencePassed { .. }
                | SctpEvent::ArrivalsTaken { .. } => {}
            }
        }
        if rank(self.state) == LAST {
            assert_eq!(self.sctp.poll_timeout(), None);
            assert_eq!(self.sctp.queued_bytes(), 0);
        }
    }

    fn wait(&mut self, time: Duration) {
        let end = self.now + time;
        let mut timeouts = 0;
        while let Some(at) = self.sctp.poll_timeout()
            && at <= end
        {
            self.now = self.now.max(at);
            self.sctp.handle_timeout(self.now);
            self.listen();
            timeouts += 1;
            assert!(timeouts < 10_000, "virtual time stands still");
        }
        self.now = end;
    }
}

/// The rank of a final state. States only move to a higher rank.
const LAST: u8 = 3;

fn rank(state: SctpState) -> u8 {
    match state {
        SctpState::New => 0,
        SctpState::Connecting => 1,
        SctpState::Connected => 2,
        SctpState::Failed | SctpState::Closed => LAST,
    }
}
