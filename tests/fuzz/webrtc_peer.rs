//! A whole worker with two clients. One client sends anything through its established session, which
//! must not affect the other client.

use std::time::Duration;

use datasoup::proto::dtls::DtlsState;
use datasoup::sfu::id::{
    DataConsumerKey, DataProducerKey, RouterKey, TransportKey, WebRtcServerKey,
};
use serde_json::Value;

use crate::client::Client;
use crate::heap::live;
use crate::input::Input;
use crate::lab::{Lab, binary, ours, text, theirs};
use crate::puppet::*;
use crate::script::{Step, perform};
use crate::sim::Conditions;

/// The bound of a transport's heap in bytes: the bound of its association (see `guard.rs`), and 2 MiB for its DTLS
/// session.
const MAX_HEAP: i64 = 14 << 20;

/// The time limit of a script. It is below the consent timeout, because the clients send no checks.
const MAX_TIME: Duration = Duration::from_secs(20);

/// The first of the attacker's addresses.
const ATTACKER: u16 = 10;
/// An address without a session.
const STRANGER: u16 = 99;

struct Scene {
    lab: Lab,
    /// A DataProducer on a direct transport; the attacker has a DataConsumer of it.
    producer: DataProducerKey,
    attacker: Party,
    puppet: Puppet,
    consumers: Vec<DataConsumerKey>,
    innocent: Party,
    innocent_sends: DataProducerKey,
    innocent_gets: DataConsumerKey,
    time: Duration,
}

struct Party {
    key: TransportKey,
    client: usize,
}

/// `data` is a script (see `script.rs`).
pub fn run(data: &[u8]) {
    let mut scene = Scene::new();
    let quiet = scene.innocent_state();
    let before = live();
    perform(Input::new(data), before, MAX_HEAP, |step, budget| scene.act(step, budget));
    assert_eq!(scene.innocent_state(), quiet, "the state of the innocent client has changed");
    scene.check_innocent();
    scene.close();
}

impl Scene {
    fn new() -> Self {
        let conditions = Conditions { delay: Duration::ZERO, ..Conditions::PERFECT };
        let mut lab = Lab::with(1, conditions, 1);
        let router = lab.host().router();
        let server = lab.host().server(ours(9));
        let direct = lab.host().direct(router);

        let (key, client) = lab.join_server(router, server, 1);
        let innocent = Party { key, client };
        let innocent_sends = lab.host().produce(key, 0);
        let (innocent_gets, _) = lab.host().consume(direct, innocent_sends);
        lab.host().events.clear();

        let (attacker, puppet) = attacker(&mut lab, router, server);
        for stream in 0..3 {
            let producer = lab.host().produce(attacker.key, stream);
            lab.host().consume(direct, producer);
        }
        let producer = lab.host().produce(direct, 0);
        let consumers = (0..2).map(|_| lab.host().consume(attacker.key, producer).0).collect();
        // No client sends checks from here on, because consent is not part of this test.
        lab.clients.iter_mut().for_each(|client| client.checks = false);
        lab.run_for(Duration::from_secs(1));
        lab.host().events.clear();
        let time = Duration::ZERO;
        Self {
            lab,
            producer,
            attacker,
            puppet,
            consumers,
            innocent,
            innocent_sends,
            innocent_gets,
            time,
        }
    }

    fn act(&mut self, step: Step<'_>, mut budget: u32) -> u32 {
        let server = ours(9);
        match step {
            Step::Packets(recipe, times) => {
                for _ in 0..u32::from(times).min(budget) {
                    let packet = recipe.cook(&mut self.puppet);
                    self.lab.clients[self.attacker.client].seal(&packet);
                    budget -= 1;
                }
            }
            Step::Raw([0, sealed @ ..]) => self.lab.clients[self.attacker.client].seal(sealed),
            Step::Raw(bytes) => self.lab.inject(theirs(ATTACKER), server, bytes),
            Step::Stranger(bytes) => self.lab.inject(theirs(STRANGER), server, bytes),
            Step::Check { address, nominates } => {
                let ice = self.lab.clients[self.attacker.client].ice.clone();
                let from = theirs(ATTACKER + u16::from(address % 16));
                self.lab.inject(from, server, &Client::check(&ice, nominates));
            }
            Step::Wait(time) => {
                let time = time.min(MAX_TIME - self.time);
                self.time += time;
                self.lab.run_for(time);
            }
            Step::Send { channel, len } => {
                self.lab.sfu().send(self.producer, binary(channel, len.into()), None);
            }
            Step::Reopen { channel } => {
                let index = usize::from(channel) % self.consumers.len();
                if let Ok(consumer) = self.lab.sfu().data_consumer(self.consumers[index]) {
                    consumer.close();
                }
                // The new DataConsumer gets the next stream. If the association has ended, the
                // DataConsumer never opens.
                let consumed = self.lab.host().consume(self.attacker.key, self.producer);
                self.consumers[index] = consumed.0;
            }
        }
        self.lab.run_for(Duration::ZERO);
        self.listen(match step {
            Step::Stranger(bytes) => bytes.len(),
            _ => 0,
        });
        budget
    }

    /// Checks what the worker has sent and emitted.
    fn listen(&mut self, asked: usize) {
        let strays = std::mem::take(&mut self.lab.strays);
        let stranger = strays.iter().filter(|it| it.to == theirs(STRANGER));
        let answered: usize = stranger.map(|it| it.bytes.len()).sum();
        assert!(answered <= asked, "amplified from {asked} to {answered} bytes");
        let intercepted = &mut self.lab.clients[self.attacker.client].intercepted;
        for packet in intercepted.replace(Vec::new()).into_iter().flatten() {
            self.puppet.learn(&packet);
        }
        let events = std::mem::take(&mut self.lab.host().events);
        let concerned = events.iter().any(|event| self.concerns_innocent(event));
        assert!(!concerned, "events of the innocent client: {events:?}");
    }

    fn concerns_innocent(&self, event: &datasoup::sfu::event::Event) -> bool {
        use datasoup::sfu::event::Event;
        match event {
            Event::Transport(key, _) => *key == self.innocent.key,
            Event::DataProducer(key, _) => *key == self.innocent_sends,
            Event::DataConsumer(key, _) | Event::Message(key, _) => *key == self.innocent_gets,
            _ => false,
        }
    }

    /// The dump and the stats of the innocent client's transport, without times, which differ between two reads.
    fn innocent_state(&mut self) -> [Value; 3] {
        let mut stats =
            [self.lab.stats(self.innocent.key), self.lab.producer_stats(self.innocent_sends)];
        for entity in &mut stats {
            for name in ["timestamp", "recvBitrate", "sendBitrate"] {
                entity.as_object_mut().expect("an object").remove(name);
            }
        }
        let [transport, producer] = stats;
        [self.lab.dump(self.innocent.key), transport, producer]
    }

    /// Checks that the innocent client still sends and receives.
    fn check_innocent(&mut self) {
        let (lab, client) = (&mut self.lab, self.innocent.client);
        lab.clients[client].checks = true;
        lab.clients[client].send(0, text("still here"));
        let consumer = self.innocent_gets;
        lab.expect("a message from the innocent", |lab| {
            lab.host().messages(consumer) == [text("still here")]
        });
        lab.host().consume(self.innocent.key, self.producer);
        lab.sfu().send(self.producer, text("to the innocent"), None);
        lab.expect("a message to the innocent", |lab| {
            lab.clients[client].messages().iter().any(|(_, got)| *got == text("to the innocent"))
        });
    }

    fn close(mut self) {
        assert!(
            self.lab.sfu().transport(self.attacker.key).is_ok(),
            "it is not the peer's to close"
        );
        self.lab.sfu().close();
        self.lab.run_for(Duration::from_secs(1));
        assert!(self.lab.sfu().is_empty());
    }
}

/// Connects a client whose SCTP packets come from the script instead of an association.
fn attacker(lab: &mut Lab, router: RouterKey, server: WebRtcServerKey) -> (Party, Puppet) {
    let (key, client) = lab.invite_to_server(router, server, ATTACKER);
    lab.clients[client].intercepted = Some(Vec::new());
    lab.clients[client].begins = false;
    lab.expect("a session", |lab| {
        let connected = lab.clients[client].dtls_states.contains(&DtlsState::Connected);
        connected && lab.dump(key)["dtlsState"] == "connected"
    });
    let mut puppet = Puppet::new(OWN_TAG, FIRST_TSN);
    lab.clients[client].seal(&puppet.init((u16::MAX, u16::MAX), &extensions()));
    lab.run_for(Duration::from_millis(1));
    let answers = lab.clients[client].intercepted.replace(Vec::new());
    answers.iter().flatten().for_each(|packet| puppet.learn(packet));
    lab.clients[client].seal(&puppet.cookie_echo());
    lab.expect("an association", |lab| lab.sctp_connected(key));
    (Party { key, client }, puppet)
}
