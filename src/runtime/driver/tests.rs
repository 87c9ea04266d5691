//! What one turn may do.

use std::sync::Mutex;

use super::*;
use crate::proto::certificate::Certificate;
use crate::runtime::outbox::Outbox;
use crate::sfu::contract::options::PortRange;

fn driver() -> Driver {
    let certificate = Certificate::generate().expect("a certificate");
    let ports = PortRange { min: 10_000, max: 59_999 };
    let (inbox, outbox) = (Arc::new(WorkerInbox::default()), Arc::new(Outbox::new(|| {})));
    Driver::new(World::new(certificate, ports, Arc::clone(&inbox), outbox), inbox)
}

#[test]
fn a_turn_does_a_bounded_number_of_jobs_and_leaves_the_rest_in_order() {
    const EXTRA: usize = 10;
    let mut driver = driver();
    let done = Arc::new(Mutex::new(Vec::new()));
    for number in 0..2 * JOBS_PER_TURN + EXTRA {
        let done = Arc::clone(&done);
        driver.inbox.post(Job::Call(Box::new(move |_| done.lock().unwrap().push(number))));
    }
    driver.inbox.take(&mut driver.jobs, &mut driver.readable);
    for expected in [JOBS_PER_TURN, 2 * JOBS_PER_TURN, 2 * JOBS_PER_TURN + EXTRA] {
        driver.turn(clock::now());
        assert_eq!(done.lock().unwrap().len(), expected);
    }
    assert!(done.lock().unwrap().is_sorted());
    assert!(driver.jobs.is_empty());
}

#[test]
fn jobs_after_a_close_are_not_done() {
    let mut driver = driver();
    driver.inbox.post(Job::Close);
    driver.inbox.post(Job::Call(Box::new(|_| panic!("done after the close"))));
    driver.inbox.take(&mut driver.jobs, &mut driver.readable);
    driver.turn(clock::now());
    assert!(driver.world.is_closing());
}
