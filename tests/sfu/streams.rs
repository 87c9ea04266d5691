//! The streams of a WebRTC transport: how ids are assigned, and how streams close.

use std::sync::Arc;
use std::time::Duration;

use datasoup::sfu::backlog::Backlog;
use datasoup::sfu::contract::options::DataConsumerOptions;
use datasoup::sfu::event::{DataConsumerEvent, DataProducerEvent};
use datasoup::sfu::id::{DataConsumerKey, DataProducerKey, TransportKey};

use crate::common::lab::{Lab, text};
use crate::common::options;

struct Room {
    lab: Lab,
    key: TransportKey,
    client: usize,
    direct: TransportKey,
    /// A direct DataProducer, for the consumers of the client.
    producer: DataProducerKey,
}

fn room() -> Room {
    let (mut lab, router) = Lab::with_router();
    let direct = lab.host().direct(router);
    let producer = lab.host().produce(direct, 0);
    let (key, client) = lab.join(router, 1);
    Room { lab, key, client, direct, producer }
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
    assert!(room.consume_on(65_535).is_err(), "65,535 is no id of a data channel");
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
