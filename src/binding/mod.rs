//! Room 4: Node.js. One N-API class per entity, and the queue through which answers, events and
//! messages come back.
//!
//! A control method takes the number of the request, posts a job to the worker and returns; the
//! answer comes through the queue. **The number of the request that creates an entity is the
//! entity's key**, so the object that stands for it is there, and can be used, at once.
//!
//! `lib/` is the only caller and has checked all arguments. No JavaScript error is made here.
//!
//! N-API is a C interface: what the attributes below expand to is `unsafe`.
#![allow(unsafe_code)]

mod data_consumer;
mod data_producer;
mod link;
mod queue;
mod router;
mod transport;
mod webrtc_server;
mod worker;
