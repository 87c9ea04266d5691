//! `Router`.

use std::rc::Rc;

use napi_derive::napi;
use serde::Deserialize;
use serde_json::json;

use crate::runtime::ports::ListenInfo;
use crate::runtime::world::World;
use crate::sfu::error::Result;
use crate::sfu::id::{RouterKey, TransportKey};
use crate::sfu::transport::direct::DirectTransportOptions;
use crate::sfu::transport::pipe::PipeTransportOptions;
use crate::sfu::transport::plain::PlainTransportOptions;
use crate::sfu::transport::webrtc::{WebRtcListen, WebRtcTransportOptions};
use crate::sfu::transport::{Listen, ListenProtocol};

use super::link::SharedLink;
use super::transport::Transport;
use super::webrtc_server::WebRtcServer;

/// Where the DataProducers and DataConsumers of several transports meet.
#[napi]
pub struct Router {
    pub(super) link: SharedLink,
    pub(super) key: RouterKey,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WithListenInfos {
    #[serde(default)]
    listen_infos: Vec<ListenInfo>,
    #[serde(flatten)]
    options: WebRtcTransportOptions,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WithListenInfo<O> {
    listen_info: ListenInfo,
    #[serde(flatten)]
    options: O,
}

#[napi]
impl Router {
    #[napi(catch_unwind)]
    pub fn create_direct_transport(&self, request: u32, options: String) -> Transport {
        let (router, key) = (self.key, TransportKey(request));
        self.link.request_with(request, options, move |world, options: DirectTransportOptions| {
            let id = world.sfu.create_direct_transport(key, router, &options)?;
            Ok(json!({ "id": id }))
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
        let server = server.map(|it| it.key);
        self.link.request_with(request, options, move |world, given: WithListenInfos| {
            let WithListenInfos { listen_infos, options } = given;
            let Some(server) = server else {
                let infos = enabled(listen_infos, &options);
                return listening(world, &infos, |world, listens| {
                    let listen = WebRtcListen::Own(listens);
                    world.sfu.create_webrtc_transport(key, router, options, listen)
                });
            };
            world.sfu.create_webrtc_transport(key, router, options, WebRtcListen::Server(server))
        });
        self.transport(key)
    }

    #[napi(catch_unwind)]
    pub fn create_plain_transport(&self, request: u32, options: String) -> Transport {
        let (router, key) = (self.key, TransportKey(request));
        type Given = WithListenInfo<PlainTransportOptions>;
        self.link.request_with(request, options, move |world, given: Given| {
            listening(world, &[(0, given.listen_info)], |world, listens| {
                let listen = the_one(listens)?;
                world.sfu.create_plain_transport(key, router, given.options, listen)
            })
        });
        self.transport(key)
    }

    #[napi(catch_unwind)]
    pub fn create_pipe_transport(&self, request: u32, options: String) -> Transport {
        let (router, key) = (self.key, TransportKey(request));
        type Given = WithListenInfo<PipeTransportOptions>;
        self.link.request_with(request, options, move |world, given: Given| {
            listening(world, &[(0, given.listen_info)], |world, listens| {
                let listen = the_one(listens)?;
                world.sfu.create_pipe_transport(key, router, given.options, listen)
            })
        });
        self.transport(key)
    }

    #[napi(catch_unwind)]
    pub fn dump(&self, request: u32) {
        let key = self.key;
        self.link.request(request, move |world| world.sfu.dump_router(key));
    }

    #[napi(catch_unwind)]
    pub fn close(&self) {
        let key = self.key;
        self.link.tell(move |world| world.sfu.close_router(key));
    }

    fn transport(&self, key: TransportKey) -> Transport {
        Transport { link: Rc::clone(&self.link), key }
    }
}

/// Those that may be listened on, each with its place among all.
fn enabled(infos: Vec<ListenInfo>, options: &WebRtcTransportOptions) -> Vec<(usize, ListenInfo)> {
    let enabled = |info: &ListenInfo| match info.protocol {
        ListenProtocol::Udp => options.enable_udp,
        ListenProtocol::Tcp => options.enable_tcp,
    };
    infos.into_iter().enumerate().filter(|(_, info)| enabled(info)).collect()
}

/// Binds sockets for `make`, and closes them again if that fails.
fn listening<T>(
    world: &mut World,
    infos: &[(usize, ListenInfo)],
    make: impl FnOnce(&mut World, Vec<Listen>) -> Result<T>,
) -> Result<T> {
    let listens = world.listen(infos)?;
    make(world, listens.clone()).inspect_err(|_| world.unlisten(&listens))
}

fn the_one(listens: Vec<Listen>) -> Result<Listen> {
    let missing = || crate::sfu::error::Error::Type("missing listenInfo".into());
    listens.into_iter().next().ok_or_else(missing)
}
