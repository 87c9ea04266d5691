//! `WebRtcServer`.

use napi_derive::napi;

use crate::sfu::id::WebRtcServerKey;

use super::link::SharedLink;

/// One port for many WebRTC transports.
#[napi]
pub struct WebRtcServer {
    pub(super) link: SharedLink,
    pub(super) key: WebRtcServerKey,
}

#[napi]
impl WebRtcServer {
    #[napi(catch_unwind)]
    pub fn dump(&self, request: u32) {
        let key = self.key;
        self.link.request(request, move |world| world.sfu.dump_webrtc_server(key));
    }

    #[napi(catch_unwind)]
    pub fn close(&self) {
        let key = self.key;
        self.link.tell(move |world| world.sfu.close_webrtc_server(key));
    }
}
