//! `WebRtcServer`.

use napi_derive::napi;

use crate::sfu::id::WebRtcServerKey;

use super::batcher::SharedBatcher;

/// One port for many WebRTC transports.
#[napi]
pub struct WebRtcServer {
    pub(super) batcher: SharedBatcher,
    pub(super) key: WebRtcServerKey,
}

#[napi]
impl WebRtcServer {
    #[napi(catch_unwind)]
    pub fn dump(&self, request: u32) {
        let key = self.key;
        self.batcher.request(request, move |world| world.sfu.dump_webrtc_server(key));
    }

    #[napi(catch_unwind)]
    pub fn close(&self) {
        let key = self.key;
        self.batcher.run(move |world| world.sfu.close_webrtc_server(key));
    }
}
