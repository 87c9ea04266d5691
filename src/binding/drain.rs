//! The methods of `Worker` with which lib/Channel.js drains the queue from the worker.

use napi::Result;
use napi::bindgen_prelude::{BufferSlice, Env, Uint8ArraySlice, Uint32ArraySlice};
use napi_derive::napi;

use super::cleanup;
use super::worker::Worker;

#[napi]
impl Worker {
    /// See [`Batcher::flush`](super::batcher::Batcher::flush).
    #[napi(catch_unwind)]
    pub fn flush(&self) {
        self.batcher.flush();
    }

    /// See [`Reader::drain`](super::reader::Reader::drain).
    #[napi(catch_unwind)]
    pub fn drain(&mut self, mut scratch: Uint8ArraySlice<'_>, mut records: Uint32ArraySlice<'_>) {
        // SAFETY: both arrays belong to lib/Channel.js, and nothing else accesses them during this call.
        let (scratch, records) = unsafe { (scratch.as_mut(), records.as_mut()) };
        self.reader.drain(scratch, records);
    }

    /// See [`Reader::peek`](super::reader::Reader::peek).
    #[napi(catch_unwind)]
    pub fn peek(&mut self) -> u32 {
        self.reader.peek() as u32
    }

    /// The message of the last record, which was too large for the scratch.
    #[napi(catch_unwind)]
    pub fn take_buffer<'env>(&mut self, env: &'env Env) -> Result<BufferSlice<'env>> {
        let payload = self.reader.take_message().map(|it| it.payload).unwrap_or_default();
        BufferSlice::copy_from(env, payload)
    }

    #[napi(catch_unwind)]
    pub fn take_answers(&mut self) -> String {
        self.reader.take_answers()
    }

    #[napi(catch_unwind)]
    pub fn take_event(&mut self) -> String {
        let (event, last) = self.reader.take_event();
        if last {
            self.end();
        }
        event
    }

    /// Releases the handles that keep Node.js running, once the worker's thread has ended.
    fn end(&mut self) {
        cleanup::unregister(&self.handle);
        drop(self.handle.borrow_mut().take());
        self.outbox.retire();
    }
}
