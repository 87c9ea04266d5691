//! `Router`.

use std::rc::Rc;

use napi_derive::napi;

use crate::runtime::world::World;
use crate::sfu::address::Listen;
use crate::sfu::contract::options::{
    DirectTransportOptions, ListenInfo, PipeTransportOptions, PlainTransportOptions,
    WebRtcTransportOptions,
};
use crate::sfu::error::{Error, Result};
use crate::sfu::id::{RouterKey, TransportKey};
use crate::sfu::transport::webrtc::WebRtcListen;

use super::batcher::SharedBatcher;
use super::transport::Transport;
use super::webrtc_server::WebRtcServer;

/// Routes messages between the transports that belong to it.
#[napi]
pub struct Router {
    pub(super) batcher: SharedBatcher,
    pub(super) key: RouterKey,
}

#[napi]
impl Router {
    #[napi(catch_unwind)]
    pub fn create_direct_transport(&self, request: u32, options: String) -> Transport {
        let (router, key) = (self.key, TransportKey(request));
        type Options = DirectTransportOptions;
        self.batcher.request_with(request, options, move |world, options: Options| {
            Ok(world.sfu.router(router)?.create_direct_transport(key, &options))
        });
        self.transport(key)
    }

    #[napi(catch_unwind)]
    pub fn create_web_rtc_transport(
        &self,
        request: u32,
        options: String,
        server: Option<&WebRtcServer>,
    ) -> Transport {
        let (router, key) = (self.key, TransportKey(request));
        let server = server.map(|it| WebRtcListen::Server(it.key));
        type Options = WebRtcTransportOptions;
        self.batcher.request_with(request, options, move |world, options: Options| match server {
            Some(listen) => {
                world.sfu.router(router)?.create_webrtc_transport(key, &options, listen)
            }
            None => listening(world, &options.numbered_listen_infos(), |world, listens| {
                let listen = WebRtcListen::Own(listens);
                world.sfu.router(router)?.create_webrtc_transport(key, &options, listen)
            }),
        });
        self.transport(key)
    }

    #[napi(catch_unwind)]
    pub fn create_plain_transport(&self, request: u32, options: String) -> Transport {
        let (router, key) = (self.key, TransportKey(request));
        type Options = PlainTransportOptions;
        self.batcher.request_with(request, options, move |world, options: Options| {
            listening(world, &[(0, &options.listen_info)], |world, listens| {
                let listen = the_one(listens)?;
                Ok(world.sfu.router(router)?.create_plain_transport(key, &options, listen))
            })
        });
        self.transport(key)
    }

    #[napi(catch_unwind)]
    pub fn create_pipe_transport(&self, request: u32, options: String) -> Transport {
        let (router, key) = (self.key, TransportKey(request));
        type Options = PipeTransportOptions;
        self.batcher.request_with(request, options, move |world, options: Options| {
            listening(world, &[(0, &options.listen_info)], |world, listens| {
                let listen = the_one(listens)?;
                Ok(world.sfu.router(router)?.create_pipe_transport(key, &options, listen))
            })
        });
        self.transport(key)
    }

    #[napi(catch_unwind)]
    pub fn dump(&self, request: u32) {
        let key = self.key;
        self.batcher.request(request, move |world| Ok(world.sfu.router(key)?.dump()));
    }

    #[napi(catch_unwind)]
    pub fn close(&self) {
        let key = self.key;
        self.batcher.run(move |world| world.close_router(key));
    }

    fn transport(&self, key: TransportKey) -> Transport {
        Transport { batcher: Rc::clone(&self.batcher), key }
    }
}

/// Binds sockets for `make`, and closes them if it fails.
fn listening<T>(
    world: &mut World,
    infos: &[(usize, &ListenInfo)],
    make: impl FnOnce(&mut World, Vec<Listen>) -> Result<T>,
) -> Result<T> {
    let listens = world.listen(infos)?;
    make(world, listens.clone()).inspect_err(|_| world.unlisten(&listens))
}

fn the_one(listens: Vec<Listen>) -> Result<Listen> {
    listens.into_iter().next().ok_or_else(|| {
        Error::InvalidOptions("listenInfo is missing: give the address to listen on".into())
    })
}
