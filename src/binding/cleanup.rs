//! Ends the workers of a JavaScript thread that ends without `close()`: `process.exit()`, a terminated worker_thread.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use napi::Result;
use napi::bindgen_prelude::Env;

use crate::runtime::worker::WorkerHandle;

use super::batcher::SharedBatcher;

/// A worker's thread until it has ended; `None` afterwards.
pub(super) type Handle = Rc<RefCell<Option<WorkerHandle>>>;

thread_local! {
    /// The workers that have not ended yet.
    static RUNNING: RefCell<Vec<(Handle, SharedBatcher)>> = const { RefCell::new(Vec::new()) };
    static HOOKED: Cell<bool> = const { Cell::new(false) };
}

/// Makes the end of this JavaScript thread end the worker, until [`unregister`].
pub(super) fn register(env: &Env, handle: &Handle, batcher: &SharedBatcher) -> Result<()> {
    // One hook for all workers, which is never removed: napi does not free the data of a hook when it removes the hook.
    if !HOOKED.get() {
        env.add_env_cleanup_hook((), |()| end_all())?;
        HOOKED.set(true);
    }
    RUNNING.with_borrow_mut(|running| running.push((Rc::clone(handle), Rc::clone(batcher))));
    Ok(())
}

/// Forgets a worker that has ended.
pub(super) fn unregister(handle: &Handle) {
    RUNNING.with_borrow_mut(|running| running.retain(|(other, _)| !Rc::ptr_eq(other, handle)));
}

fn end_all() {
    HOOKED.set(false);
    for (handle, batcher) in RUNNING.take() {
        batcher.flush();
        drop(handle.borrow_mut().take());
    }
}
