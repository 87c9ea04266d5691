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
        self.batcher.request(request, move |world| Ok(world.sfu.webrtc_server(key)?.dump()));
    }

    #[napi(catch_unwind)]
    pub fn close(&self) {
        let key = self.key;
        self.batcher.run(move |world| {
            if let Ok(server) = world.sfu.webrtc_server(key) {
                server.close();
            }
        });
    }
}
