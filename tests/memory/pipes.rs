//! The heap of a pipe over which DataProducers come and go.

use std::time::Duration;

use datasoup::sfu::contract::options::DataProducerOptions;

use crate::common::lab::{Lab, ours, text};
use crate::common::options;
use crate::common::sim::Conditions;
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
        // The last ones rest, and a HEARTBEAT trims what they have left.
        lab.run_for(Duration::from_secs(120));
        lab.hosts.iter_mut().for_each(|host| host.events.clear());
        live()
    };
    let [before, after] = [2000, 8000].map(&mut cycles);
    assert!(after - before < 32 * 1024, "{} bytes more", after - before);
}
