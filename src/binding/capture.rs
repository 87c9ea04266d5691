//! `Capture`.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use napi_derive::napi;

use crate::sfu::backlog::Backlog;
use crate::sfu::id::{DataConsumerKey, TransportKey};

use super::batcher::SharedBatcher;

/// How much may wait for JavaScript, in charged bytes.
const MAX_WAITING: u64 = 4 << 20;

/// A capture of the packets of a transport.
#[napi]
pub struct Capture {
    batcher: SharedBatcher,
    transport: TransportKey,
    key: DataConsumerKey,
    backlog: Arc<Backlog>,
    dropped: Arc<AtomicU64>,
}

#[napi]
impl Capture {
    pub(super) fn begin(batcher: &SharedBatcher, transport: TransportKey, request: u32) -> Self {
        let key = DataConsumerKey(request);
        let backlog = Arc::new(Backlog::new(MAX_WAITING));
        let dropped = Arc::new(AtomicU64::new(0));
        batcher.backlogs.borrow_mut().request(request, Arc::clone(&backlog));
        let (counted, drops) = (Arc::clone(&backlog), Arc::clone(&dropped));
        batcher.request(request, move |world| {
            world.sfu.transport(transport)?.capture(key, counted, drops)
        });
        Self { batcher: Rc::clone(batcher), transport, key, backlog, dropped }
    }

    /// How many packets were dropped because too many waited for JavaScript.
    #[napi(getter, catch_unwind)]
    pub fn dropped(&self) -> f64 {
        self.dropped.load(Ordering::Relaxed) as f64
    }

    #[napi(catch_unwind)]
    pub fn close(&self) {
        let (transport, key) = (self.transport, self.key);
        self.batcher.run(move |world| world.sfu.end_capture(transport, key));
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        self.batcher.backlogs.borrow_mut().remove(self.key.0, &self.backlog);
    }
}
