//! The header that carries subchannels through pipes.

use std::sync::Arc;

use bytes::Bytes;
use datasoup::sfu::pipe_header;
use datasoup::sfu::subchannels::{Selector, Subchannels};

use crate::input::Input;

/// `data` is a message from a pipe, and also a message into a pipe.
pub fn run(data: &[u8]) {
    let message = Bytes::copy_from_slice(data);
    let (selector, payload) = pipe_header::decode(message.clone());
    assert!(message.ends_with(&payload));
    assert!(message.len() - payload.len() <= pipe_header::MAX_HEADER as usize);
    match &selector {
        Some(selector) => {
            assert!(!selector.is_empty());
            // The list may come back shorter: sorted and without duplicates.
            let again = pipe_header::encode(Some(selector), &payload);
            assert!(again.len() <= message.len());
            assert_eq!(pipe_header::decode(again), (Some(selector.clone()), payload.clone()));
        }
        // The payload follows a header without subchannels (10 bytes), or the message has no header.
        None => assert!(payload.len() == message.len() || message.len() - payload.len() == 10),
    }
    // No payload can forge a header.
    assert_eq!(pipe_header::decode(pipe_header::encode(None, &message)), (None, message));

    let mut input = Input::new(data);
    let flags = input.byte();
    let subchannels = (0..input.byte() % 16).map(|_| input.u16()).collect();
    let required = (flags & 1 != 0).then(|| input.u16());
    let ignored = (flags & 2 != 0).then(|| input.u16());
    let subscribed = Subchannels::new((0..input.byte() % 16).map(|_| input.u16()));
    let selector = Arc::new(Selector { subchannels, required, ignored });
    let payload = Bytes::copy_from_slice(input.rest());
    let (got, rest) = pipe_header::decode(pipe_header::encode(Some(&selector), &payload));
    assert_eq!((got.unwrap_or_default(), rest), (Selector::clone(&selector), payload));

    // A consumer behind a pipe gets the same messages as a direct one.
    for strict in [false, true] {
        let matches = selector.matches(&subscribed);
        match selector.through_pipe(&subscribed, strict) {
            Some(carried) => assert_eq!(carried.matches(&subscribed), matches),
            None => assert!(!matches),
        }
    }
}
