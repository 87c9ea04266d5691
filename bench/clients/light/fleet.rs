//! All clients of the process, on a few threads: passes orders to all of them and sums up their reports.

use std::future::pending;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::Duration;

use datasoup::proto::certificate::{Certificate, Fingerprint};
use datasoup::proto::dtls::DtlsContext;
use serde::Serialize;
use tokio::runtime::{Builder, Handle};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use crate::client::{Client, Load, Order, Report, Server, Tally};

/// Handshakes at a time. With more handshakes, the first ones time out and retransmit.
const HANDSHAKES: usize = 64;

/// Without a report or a message for this long, waiting fails.
const QUIET: Duration = Duration::from_secs(5);

pub(crate) struct Fleet {
    context: Arc<DtlsContext>,
    threads: Vec<Handle>,
    clients: Vec<UnboundedSender<Order>>,
    reports: Receiver<Report>,
    reporter: Sender<Report>,
    /// Messages that all clients have received.
    delivered: Arc<AtomicU64>,
}

/// The sum over all clients, an `Outcome` of types.d.ts.
#[derive(Default, Serialize)]
pub(crate) struct Received {
    items: u64,
    lost: u64,
    disordered: u64,
}

impl Fleet {
    pub(crate) fn new(threads: usize) -> io::Result<Self> {
        let certificate = Certificate::generate().map_err(io::Error::other)?;
        let (reporter, reports) = mpsc::channel();
        Ok(Self {
            context: Arc::new(DtlsContext::new(certificate)),
            threads: (0..threads.max(1)).map(|_| spawn_thread()).collect::<Result<_, _>>()?,
            clients: Vec::new(),
            reports,
            reporter,
            delivered: Arc::default(),
        })
    }

    pub(crate) fn fingerprints(&self) -> Vec<Fingerprint> {
        self.context.certificate().fingerprints()
    }

    pub(crate) fn connect(&mut self, servers: Vec<Server>) -> Result<(), String> {
        let total = servers.len();
        let mut servers = servers.into_iter();
        for server in servers.by_ref().take(HANDSHAKES) {
            self.launch(server);
        }
        for _ in 0..total {
            self.wait(|report| matches!(report, Report::Connected).then_some(()))?;
            if let Some(server) = servers.next() {
                self.launch(server);
            }
        }
        Ok(())
    }

    pub(crate) fn ready(&mut self, latencies: bool) -> Result<(), String> {
        self.order(|| Order::Ready { latencies });
        self.wait_for_all(|report| matches!(report, Report::Ready))
    }

    pub(crate) fn received(&mut self, count: u32) -> Received {
        self.order(|| Order::Expect(count));
        // Ignores the error: a client that has not received all messages in time reports those that it has.
        let _ = self.wait_for_all(|report| matches!(report, Report::Reached(it) if it == count));
        self.order(|| Order::Report);
        let mut received = Received::default();
        for _ in 0..self.clients.len() {
            let tally = self.wait(|report| match report {
                Report::Tally(tally) => Some(tally),
                _ => None,
            });
            let Ok(Tally { count: got, disordered }) = tally else { break };
            received.items += u64::from(got.min(count));
            received.disordered += u64::from(disordered);
        }
        received.lost = u64::from(count) * self.clients.len() as u64 - received.items;
        received
    }

    /// In µs, of all messages since [`Self::ready`], if that call asked for latencies.
    pub(crate) fn latencies(&mut self) -> Vec<u32> {
        self.order(|| Order::ReportLatencies);
        let latencies = |_| {
            self.wait(|report| match report {
                Report::Latencies(latencies) => Some(latencies),
                _ => None,
            })
        };
        (0..self.clients.len()).map_while(|it| latencies(it).ok()).flatten().collect()
    }

    pub(crate) fn send(&mut self, load: Load) -> Result<(), String> {
        self.order(|| Order::Send(load));
        self.wait_for_all(|report| matches!(report, Report::Sent))
    }

    pub(crate) fn echo(&mut self) {
        self.order(|| Order::Echo);
    }

    pub(crate) fn disconnect(&mut self) {
        self.order(|| Order::Close);
        // Ignores the error: clients that have failed do not report, so the wait for them fails.
        let _ = self.wait_for_all(|report| matches!(report, Report::Closed));
        self.clients.clear();
    }

    fn launch(&mut self, server: Server) {
        let (orders, inbox) = unbounded_channel();
        let context = Arc::clone(&self.context);
        let (reporter, delivered) = (self.reporter.clone(), Arc::clone(&self.delivered));
        self.threads[self.clients.len() % self.threads.len()].spawn(async move {
            match Client::new(server, context, inbox, reporter.clone(), delivered) {
                Ok(client) => client.await,
                Err(error) => drop(reporter.send(Report::Failed(error))),
            }
        });
        self.clients.push(orders);
    }

    fn order(&self, order: impl Fn() -> Order) {
        for client in &self.clients {
            // The missing report of a client shows that it has ended.
            let _ = client.send(order());
        }
    }

    /// Waits for a report that `pick` accepts, and skips others.
    fn wait<T>(&self, mut pick: impl FnMut(Report) -> Option<T>) -> Result<T, String> {
        let mut seen = self.delivered.load(Ordering::Relaxed);
        loop {
            match self.reports.recv_timeout(QUIET) {
                Ok(Report::Failed(why)) => return Err(why),
                Ok(report) => {
                    if let Some(picked) = pick(report) {
                        return Ok(picked);
                    }
                }
                Err(RecvTimeoutError::Timeout) => {
                    let delivered = self.delivered.load(Ordering::Relaxed);
                    if delivered == seen {
                        return Err(format!("no report within {} s", QUIET.as_secs()));
                    }
                    seen = delivered;
                }
                Err(RecvTimeoutError::Disconnected) => unreachable!("self.reporter is a sender"),
            }
        }
    }

    /// Waits for one such report per client.
    fn wait_for_all(&self, is_it: impl Fn(Report) -> bool) -> Result<(), String> {
        (0..self.clients.len()).try_for_each(|_| self.wait(|report| is_it(report).then_some(())))
    }
}

/// A thread that runs spawned tasks until the process ends.
fn spawn_thread() -> io::Result<Handle> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let handle = runtime.handle().clone();
    thread::Builder::new()
        .name("clients".into())
        .spawn(move || runtime.block_on(pending::<()>()))?;
    Ok(handle)
}
