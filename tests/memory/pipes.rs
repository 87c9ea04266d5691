//! The heap of a pipe over which DataProducers come and go, and of one with which third parties begin handshakes.

use std::sync::Arc;
use std::time::Duration;

use datasoup::proto::certificate::Certificate;
use datasoup::proto::dtls::{Dtls, DtlsContext, DtlsRole, DtlsState, Path};
use datasoup::proto::net::{SocketId, Tuple};
use datasoup::proto::transmit::Transmits;
use datasoup::sfu::contract::options::DataProducerOptions;

use crate::common::lab::{Lab, ours, text};
use crate::common::options;
use crate::common::sim::{Conditions, start};
use crate::heap::live;

#[test]
fn a_pipe_holds_no_more_after_ten_thousand_streams_than_after_two_thousand() {
    let mut lab = Lab::with(2, Conditions::PERFECT, 1);
    let ends = [0, 1].map(|index| {
        let host = &mut lab.hosts[index];
        let router = host.router();
        let listen = host.listen(ours(index as u16 + 1));
        let pipe = host.pipe(router, listen, &options::pipe());
        host.connect_udp(pipe, ours(2 - index as u16));
        (host.direct(router), pipe)
    });
    let [(direct, near), (_, far)] = ends;
    let producer = lab.host().produce(direct, 0);
    let mut cycles = |count: u32| {
        for _ in 0..count {
            let (consumer, dump) = lab.host().consume(near, producer);
            let sctp_stream_parameters = dump.sctp_stream_parameters;
            let options = DataProducerOptions { sctp_stream_parameters, ..options::producer() };
            let remote = lab.hosts[1].produce_with(far, options);
            lab.sfu().send(producer, text("x"), None);
            lab.run_for(Duration::from_millis(10));
            lab.sfu().data_consumer(consumer).expect("open").close();
            lab.hosts[1].sfu.data_producer(remote).expect("open").close();
            lab.hosts.iter_mut().for_each(|host| host.events.clear());
        }
        // The last ids rest, and a HEARTBEAT trims unused memory.
        lab.run_for(Duration::from_secs(120));
        lab.hosts.iter_mut().for_each(|host| host.events.clear());
        live()
    };
    let [before, after] = [2000, 8000].map(&mut cycles);
    assert!(after - before < 32 * 1024, "{} bytes more", after - before);
}

#[test]
fn clients_that_have_got_a_cookie_fill_no_more_than_a_quarter_of_a_mebibyte() {
    let context = || Arc::new(DtlsContext::new(Certificate::generate().expect("a certificate")));
    let mut now = start();
    let tuple = Tuple::new(SocketId(0), ours(1));
    let begin = |dtls: &mut Dtls, now, remote_role| {
        dtls.connect(now, remote_role, Vec::new()).expect("the first time");
        dtls.path_ready(now);
    };
    let mut client = Dtls::new(context(), Path::Proved);
    begin(&mut client, now, DtlsRole::Server);
    let mut out = Transmits::default();
    client.poll_transmit(tuple, &mut out);
    let mut hello = out.get(0).expect("a hello").1.to_vec();
    let mut server = Dtls::new(context(), Path::Named);
    begin(&mut server, now, DtlsRole::Client);

    let (before, mut most) = (live(), 0);
    for number in 0..5_000_u32 {
        // The first bytes of the random number.
        hello[27..31].copy_from_slice(&number.to_be_bytes());
        now += Duration::from_millis(1);
        server.handle_datagram(now, &hello);
        let mut answers = Transmits::default();
        server.poll_transmit(tuple, &mut answers);
        assert!(answers.bytes() <= hello.len(), "{} bytes in answer", answers.bytes());
        drop(answers);
        most = most.max(live() - before);
    }
    assert!((64 * 1024..256 * 1024).contains(&most), "{most} bytes");
    assert_eq!(server.state(), DtlsState::Connecting);
}
