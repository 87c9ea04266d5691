//! The streams of a WebRTC transport: how ids are assigned, and how streams close.

use std::sync::Arc;
use std::time::Duration;

use datasoup::sfu::backlog::Backlog;
use datasoup::sfu::contract::options::DataConsumerOptions;
use datasoup::sfu::event::{DataConsumerEvent, DataProducerEvent};
use datasoup::sfu::id::{DataConsumerKey, DataProducerKey, TransportKey};
use datasoup::sfu::work;
use dcsctp::api::Options;

use crate::common::dcsctp::DcSctp;
use crate::common::lab::{Lab, ours, text, theirs};
use crate::common::options;
use crate::common::peers::MAX_PACKET;

const SECOND: Duration = Duration::from_secs(1);

struct Room {
    lab: Lab,
    key: TransportKey,
    client: usize,
    direct: TransportKey,
    /// A direct DataProducer, for the consumers of the client.
    producer: DataProducerKey,
}

fn room() -> Room {
    let mut room = waiting_room();
    room.lab.connected(room.key, room.client);
    room
}

/// A room whose client is about to connect.
fn waiting_room() -> Room {
    let (mut lab, router) = Lab::with_router();
    let direct = lab.host().direct(router);
    let producer = lab.host().produce(direct, 0);
    let (key, client) = lab.invite(router, 1);
    Room { lab, key, client, direct, producer }
}

/// A peer that takes three streams and sends on five.
fn narrow(room: &Lab) -> DcSctp {
    let options = Options {
        announced_maximum_incoming_streams: 3,
        announced_maximum_outgoing_streams: 5,
        mtu: MAX_PACKET,
        ..Options::default()
    };
    DcSctp::with(room.now, options)
}

impl Room {
    fn consume(&mut self) -> (DataConsumerKey, u16) {
        let (consumer, dump) = self.lab.host().consume(self.key, self.producer);
        (consumer, dump.sctp_stream_parameters.expect("over SCTP").stream_id)
    }

    fn consume_on(&mut self, stream: u16) -> Result<DataConsumerKey, String> {
        let key = DataConsumerKey(self.lab.host().key());
        let options = DataConsumerOptions {
            data_producer_id: self.lab.host().producer_id(self.producer),
            stream_id: Some(stream),
            ..options::consumer()
        };
        let mut transport = self.lab.sfu().transport(self.key).expect("open");
        let made = transport.consume_data(key, options, Arc::new(Backlog::new(1)));
        made.map(|_| key).map_err(|error| error.to_string())
    }

    fn close(&mut self, consumer: DataConsumerKey) {
        self.lab.sfu().data_consumer(consumer).expect("open").close();
    }
}

#[test]
fn stream_ids_ascend_and_skip_those_in_use() {
    let mut room = room();
    assert_eq!([room.consume().1, room.consume().1], [0, 1]);
    room.consume_on(2).expect("free");
    let (third, stream) = room.consume();
    assert_eq!(stream, 3);
    room.close(third);
    assert_eq!(room.consume().1, 4, "the id that was just closed is not reused yet");
    assert!(room.consume_on(4).is_err(), "in use");
    assert!(room.consume_on(0).is_err(), "in use");
}

#[test]
fn stream_ids_wrap_and_run_out() {
    let mut room = room();
    room.consume_on(0).expect("free");
    let mut held = vec![];
    for expected in 1..=65_534 {
        let (consumer, stream) = room.consume();
        assert_eq!(stream, expected);
        held.push(consumer);
    }
    assert!(room.consume_on(65_535).is_err(), "65,535 is not an id of a data channel");
    let key = DataConsumerKey(room.lab.host().key());
    let data_producer_id = room.lab.host().producer_id(room.producer);
    let options = options::consumer_of(data_producer_id);
    let mut transport = room.lab.sfu().transport(room.key).expect("open");
    let error = transport.consume_data(key, options, Arc::new(Backlog::new(1)));
    assert_eq!(error.expect_err("no stream id is left").name(), "Error");
    assert!(room.lab.sfu().data_consumer(key).is_err(), "no DataConsumer was made");

    room.close(held[99]);
    room.lab.run_for(Duration::from_secs(10));
    assert_eq!(room.consume().1, 100, "free again once its reset has completed");

    room.close(held[49]);
    room.lab.run_for(Duration::from_secs(10));
    assert_eq!(room.consume().1, 50, "all ids after the last one, and the first ones, are in use");
}

#[test]
fn a_closed_consumers_stream_is_reset_and_reused_only_after_that() {
    let mut room = room();
    let (consumer, stream) = room.consume();
    room.lab.sfu().send(room.producer, text("x"), None);
    room.lab.run_for(Duration::from_secs(1));
    room.close(consumer);
    assert!(room.consume_on(stream).is_err(), "its reset has not completed");
    room.lab.run_for(Duration::from_secs(10));
    assert!(room.lab.clients[room.client].sctp.resets.contains(&stream));
    let again = room.consume_on(stream).expect("free again");
    room.lab.sfu().send(room.producer, text("again"), None);
    room.lab.run_for(Duration::from_secs(1));
    let got = room.lab.clients[room.client].messages();
    assert_eq!(got, [(stream, text("x")), (stream, text("again"))]);
    room.close(again);
}

#[test]
fn a_channel_that_the_client_closes_closes_its_consumer() {
    let mut room = room();
    let (consumer, stream) = room.consume();
    let (other, _) = room.consume();
    room.lab.sfu().send(room.producer, text("x"), None);
    room.lab.run_for(Duration::from_secs(1));
    room.lab.clients[room.client].sctp.reset(stream);
    room.lab.run_for(Duration::from_secs(5));
    let events = room.lab.host().consumer_events(consumer);
    assert_eq!(events, [DataConsumerEvent::StreamClose]);
    assert!(room.lab.sfu().data_consumer(consumer).is_err());
    assert!(room.lab.sfu().data_consumer(other).is_ok());
    assert_eq!(
        room.lab.clients[room.client].sctp.resets,
        [stream],
        "our side of the stream is reset in turn"
    );
    let dump = room.lab.dump(room.key);
    assert_eq!(dump["dataConsumerIds"].as_array().map(Vec::len), Some(1));
}

#[test]
fn a_channel_that_the_client_closes_emits_on_its_producer_which_stays() {
    let mut room = room();
    let producer = room.lab.host().produce(room.key, 9);
    let (consumer, _) = room.lab.host().consume(room.direct, producer);
    room.lab.clients[room.client].send(9, text("1"));
    room.lab.run_for(Duration::from_secs(1));
    room.lab.clients[room.client].sctp.reset(9);
    room.lab.run_for(Duration::from_secs(10));
    let events = room.lab.host().producer_events(producer);
    assert_eq!(events, [DataProducerEvent::StreamClose]);
    room.lab.clients[room.client].send(9, text("2"));
    room.lab.run_for(Duration::from_secs(1));
    assert_eq!(room.lab.host().messages(consumer), [text("1"), text("2")]);
}

#[test]
fn a_channel_with_both_directions_emits_on_both() {
    let mut room = room();
    let producer = room.lab.host().produce(room.key, 9);
    let consumer = room.consume_on(9).expect("free");
    room.lab.clients[room.client].send(9, text("1"));
    room.lab.run_for(Duration::from_secs(1));
    room.lab.clients[room.client].sctp.reset(9);
    room.lab.run_for(Duration::from_secs(5));
    assert_eq!(room.lab.host().producer_events(producer), [DataProducerEvent::StreamClose]);
    assert_eq!(room.lab.host().consumer_events(consumer), [DataConsumerEvent::StreamClose]);
    assert!(room.lab.sfu().data_consumer(consumer).is_err());
    assert!(room.lab.sfu().data_producer(producer).is_ok());
}

#[test]
fn a_closed_producer_asks_the_client_to_close_its_channel() {
    let mut room = room();
    let producer = room.lab.host().produce(room.key, 9);
    room.lab.clients[room.client].send(9, text("1"));
    room.lab.run_for(Duration::from_secs(1));
    room.lab.sfu().data_producer(producer).expect("open").close();
    room.lab.run_for(Duration::from_secs(5));
    assert!(room.lab.clients[room.client].sctp.resets.contains(&9));
    assert!(
        room.lab.host().producer_events(producer).is_empty(),
        "the application closed the DataProducer"
    );
    // A new DataProducer can use the stream.
    room.lab.host().produce(room.key, 9);
}

#[test]
fn a_closed_producer_without_messages_resets_its_stream_each_time() {
    let mut room = room();
    for _ in 0..3 {
        let producer = room.lab.host().produce(room.key, 9);
        room.lab.sfu().data_producer(producer).expect("open").close();
        room.lab.run_for(Duration::from_secs(5));
        assert!(std::mem::take(&mut room.lab.clients[room.client].sctp.resets).contains(&9));
    }
}

#[test]
fn a_closed_producer_leaves_a_consumer_on_its_stream_alone() {
    let mut room = room();
    let producer = room.lab.host().produce(room.key, 9);
    let consumer = room.consume_on(9).expect("free");
    room.lab.sfu().data_producer(producer).expect("open").close();
    room.lab.run_for(Duration::from_secs(5));
    room.lab.sfu().send(room.producer, text("still"), None);
    room.lab.run_for(Duration::from_secs(1));
    assert_eq!(room.lab.clients[room.client].messages(), [(9, text("still"))]);
    assert!(room.lab.sfu().data_consumer(consumer).is_ok());
}

#[test]
fn a_consumer_gets_no_stream_of_a_producer() {
    let mut room = room();
    room.lab.host().produce(room.key, 0);
    room.lab.host().produce(room.key, 2);
    let streams = [room.consume().1, room.consume().1];
    assert_eq!(streams, [1, 3]);
    room.consume_on(2).expect("the application may answer on the stream of a DataProducer");
}

#[test]
fn a_closed_consumer_whose_stream_was_not_chosen_leaves_a_producer_on_it_alone() {
    let mut room = room();
    let (down, stream) = room.consume();
    let up = room.lab.host().produce(room.key, stream);
    let (consumer, _) = room.lab.host().consume(room.direct, up);
    room.lab.sfu().send(room.producer, text("down"), None);
    room.lab.clients[room.client].send(stream, text("1"));
    room.lab.run_for(SECOND);
    room.close(down);
    room.lab.run_for(5 * SECOND);
    assert_eq!(room.lab.clients[room.client].sctp.resets, [] as [u16; 0]);
    room.lab.clients[room.client].send(stream, text("2"));
    room.lab.run_for(SECOND);
    assert_eq!(room.lab.host().messages(consumer), [text("1"), text("2")]);
    assert_eq!(room.lab.host().producer_events(up), []);

    let again = room.consume_on(stream).expect("free at once");
    room.lab.sfu().send(room.producer, text("again"), None);
    room.lab.run_for(SECOND);
    let got = room.lab.clients[room.client].messages();
    assert_eq!(got, [(stream, text("down")), (stream, text("again"))]);

    // The application has chosen the stream, so it closes the channel.
    room.close(again);
    room.lab.run_for(5 * SECOND);
    assert!(room.lab.clients[room.client].sctp.resets.contains(&stream));
}

#[test]
fn the_channel_of_a_closed_consumer_closes_with_the_producer_on_its_stream() {
    let mut room = room();
    let (down, stream) = room.consume();
    let up = room.lab.host().produce(room.key, stream);
    room.close(down);
    room.lab.run_for(5 * SECOND);
    assert_eq!(room.lab.clients[room.client].sctp.resets, [] as [u16; 0]);
    room.lab.sfu().data_producer(up).expect("open").close();
    room.lab.run_for(5 * SECOND);
    assert!(room.lab.clients[room.client].sctp.resets.contains(&stream));
}

/// Creates five DataConsumers before the peer connects, sends two messages through them, and connects a
/// [`narrow`] peer. Returns the DataConsumers, and the messages that the peer has got.
fn outgrow(
    lab: &mut Lab,
    key: TransportKey,
    producer: DataProducerKey,
    peer: fn(&mut Lab) -> &mut DcSctp,
) -> Vec<DataConsumerKey> {
    let consumers: Vec<_> = (0..5).map(|_| lab.host().consume(key, producer).0).collect();
    for name in ["1", "2"] {
        lab.sfu().send(producer, text(name), None);
    }
    *peer(lab) = narrow(lab);
    lab.expect("a connection", |lab| peer(lab).is_connected() && lab.sctp_connected(key));
    lab.run_for(SECOND);
    let streams: Vec<u16> = peer(lab).messages.iter().map(|(stream, _)| *stream).collect();
    assert_eq!((streams.len(), streams.iter().max()), (6, Some(&2)), "{streams:?}");
    consumers
}

fn assert_outgrown(lab: &mut Lab, key: TransportKey, consumers: &[DataConsumerKey]) {
    for consumer in &consumers[..3] {
        assert_eq!(lab.host().consumer_events(*consumer), []);
        assert_eq!(lab.consumer_stats(*consumer)["messagesSent"], 2);
    }
    for consumer in &consumers[3..] {
        let events = lab.host().consumer_events(*consumer);
        assert_eq!(events, [DataConsumerEvent::StreamClose]);
        assert!(lab.sfu().data_consumer(*consumer).is_err());
    }
    let stats = lab.stats(key);
    assert_eq!(stats["messagesDroppedUnsendable"], 4);
    assert_eq!(stats["messagesDiscarded"], 0);
    let dump = lab.dump(key);
    assert_eq!(dump["dataConsumerIds"].as_array().map(Vec::len), Some(3));
}

#[test]
fn consumers_on_streams_that_the_peer_does_not_take_close_once_their_number_is_known() {
    let mut room = waiting_room();
    let Room { lab, key, producer, .. } = &mut room;
    let consumers = outgrow(lab, *key, *producer, |lab| &mut lab.clients[0].sctp);
    assert_outgrown(lab, *key, &consumers);

    let error = room.consume_on(3).expect_err("beyond");
    assert_eq!(error, "the peer takes only 3 streams: streamId 3 is too high");
    assert_eq!(room.consume_on(1).expect_err("in use"), "streamId already in use [streamId:1]");
    room.close(consumers[1]);
    room.lab.run_for(10 * SECOND);
    assert_eq!(room.consume().1, 1, "ids wrap at the peer's number");
}

#[test]
fn consumers_of_plain_and_pipe_transports_close_likewise() {
    for pipe in [false, true] {
        let (mut lab, router) = Lab::with_router();
        let producer = lab.source(router);
        let listen = lab.host().listen(ours(1));
        let key = if pipe {
            lab.host().pipe(router, listen, &options::pipe())
        } else {
            lab.host().plain(router, listen, &options::plain(false))
        };
        lab.host().connect_udp(key, theirs(1));
        lab.plain_peer(1, ours(1), false);
        let consumers = outgrow(&mut lab, key, producer, |lab| &mut lab.plain_peers[0].sctp);
        assert_outgrown(&mut lab, key, &consumers);
    }
}

#[test]
fn many_consumers_on_streams_that_the_peer_does_not_take_close_over_several_turns() {
    const MANY: usize = 8000;
    let mut room = waiting_room();
    let consumers: Vec<_> = (0..MANY).map(|_| room.consume().0).collect();
    let Room { lab, key, client, producer, .. } = &mut room;
    lab.sfu().send(*producer, text("x"), None);
    lab.clients[*client].sctp = narrow(lab);
    let (mut dearest, mut before) = (0, lab.sfu().work());
    lab.expect("the first three alone", |lab| {
        let now = lab.sfu().work();
        dearest = dearest.max(now - before);
        before = now;
        lab.sfu().data_consumer(consumers[MANY - 1]).is_err()
    });
    assert!(dearest < 4 * work::SHARE, "{dearest} ns in one step");
    lab.run_for(SECOND);
    assert_eq!(lab.clients[*client].messages(), [0, 1, 2].map(|stream| (stream, text("x"))));
    for consumer in &consumers[3..] {
        assert_eq!(lab.host().consumer_events(*consumer), [DataConsumerEvent::StreamClose]);
    }
    assert_eq!(lab.stats(*key)["messagesDroppedUnsendable"], MANY - 3);
    lab.sfu().send(*producer, text("y"), None);
    lab.run_for(SECOND);
    assert_eq!(lab.clients[*client].messages(), [0, 1, 2].map(|stream| (stream, text("y"))));
}

#[test]
fn a_producer_on_a_stream_that_the_peer_does_not_take_closes_without_a_reset() {
    let mut room = waiting_room();
    let producers = [2, 4].map(|stream| room.lab.host().produce(room.key, stream));
    room.lab.clients[room.client].sctp = narrow(&room.lab);
    room.lab.connected(room.key, room.client);
    let (consumer, _) = room.lab.host().consume(room.direct, producers[1]);
    room.lab.clients[room.client].send(4, text("up"));
    room.lab.run_for(SECOND);
    assert_eq!(room.lab.host().messages(consumer), [text("up")]);
    room.lab.clients[room.client].sctp.strict = true;
    for producer in producers {
        room.lab.sfu().data_producer(producer).expect("open").close();
    }
    room.lab.run_for(5 * SECOND);
    let resets = &room.lab.clients[room.client].sctp.resets;
    assert!(resets.contains(&2) && !resets.contains(&4), "{resets:?}");
}
