//! The steps of a hostile peer, read from the fuzzer's bytes.
//!
//! ```text
//! step:  1 byte  the kind in the lower four bits, the tag of its packets in the next two
//!        …       see `Step::read`
//! ```
//!
//! Numbers that depend on the association are written as distances: TSNs and RE-CONFIG requests of
//! the peer from its next one, acknowledgements from the TSN before the association's first one.
//! With zeros for all distances the peer is correct.

use std::time::Duration;

use bytes::Bytes;

use crate::heap::live;
use crate::input::Input;
use crate::puppet::*;

/// Replaces the distances in a chunk's value by absolute numbers.
fn localise(puppet: &mut Puppet, kind: u8, value: &mut [u8]) {
    match kind {
        DATA => {
            let next = puppet.tsn;
            if add(value, 0, next) == next {
                puppet.tsn = next.wrapping_add(1);
            }
        }
        INIT | INIT_ACK => _ = add(value, 0, puppet.own_tag),
        SACK | SHUTDOWN => _ = add(value, 0, puppet.initial_tsn.wrapping_sub(1)),
        FORWARD_TSN => _ = add(value, 0, puppet.tsn.wrapping_sub(1)),
        RECONFIG => match value {
            [0, 13, _, _, request @ ..] => {
                let next = puppet.request;
                if add(request, 0, next) == next {
                    puppet.request = next.wrapping_add(1);
                }
                add(request, 4, puppet.initial_tsn.wrapping_sub(1));
                add(request, 8, puppet.tsn.wrapping_sub(1));
            }
            [0, 16, _, _, response @ ..] => _ = add(response, 0, puppet.initial_tsn),
            _ => {}
        },
        _ => {}
    }
}

/// Adds to the number at `offset` of `value`, if there is one. Returns the sum.
fn add(value: &mut [u8], offset: usize, number: u32) -> u32 {
    let Some(field) = value.get_mut(offset..).and_then(|it| it.first_chunk_mut::<4>()) else {
        return 0;
    };
    let sum = u32::from_be_bytes(*field).wrapping_add(number);
    *field = sum.to_be_bytes();
    sum
}

/// Reads a script and performs its steps, at most [`MAX_PACKETS`]. After each step the heap may be larger than `before`
/// by at most `max_heap` bytes. `act` performs a step with at most the given number of packets and returns how many
/// packets may still be sent.
pub(crate) fn perform<'a>(
    mut input: Input<'a>,
    before: i64,
    max_heap: i64,
    mut act: impl FnMut(Step<'a>, u32) -> u32,
) {
    let mut recipe = Recipe::default();
    let mut budget = MAX_PACKETS;
    while !input.is_empty() && budget > 0 {
        budget = act(Step::read(&mut input, &mut recipe), budget - 1);
        let held = live() - before;
        assert!(held <= max_heap, "a step leaves {held} bytes allocated");
    }
}

/// The instructions for making a packet.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Recipe<'a> {
    /// True: the bytes are chunks as in a packet. False: each chunk has kind, flags, length in one byte, value, and for
    /// DATA a byte that counts how many times 8 zeros follow the value.
    wire: bool,
    tag: u8,
    bytes: &'a [u8],
}

impl Recipe<'_> {
    /// Makes the packet. Each call makes the same packet, except for the numbers, which depend on the association.
    pub(crate) fn cook(&self, puppet: &mut Puppet) -> Bytes {
        let mut made = Vec::new();
        let mut input = Input::new(self.bytes);
        while !input.is_empty() {
            let (kind, flags) = (input.byte(), input.byte());
            if self.wire {
                let length = input.u16();
                let mut value = input.take(usize::from(length).saturating_sub(4)).to_vec();
                localise(puppet, kind, &mut value);
                made.extend_from_slice(&[kind, flags]);
                made.extend_from_slice(&length.to_be_bytes());
                made.extend_from_slice(&value);
                made.extend_from_slice(input.take(usize::from(length).wrapping_neg() % 4));
                continue;
            }
            let len = input.byte();
            let mut value = input.take(len.into()).to_vec();
            if kind == COOKIE_ECHO && value.is_empty() {
                value.clone_from(&puppet.cookie);
            }
            if kind == DATA {
                value.resize(value.len().max(12), 0);
                value.resize(value.len() + 8 * usize::from(input.byte()), 0);
            }
            localise(puppet, kind, &mut value);
            made.extend_from_slice(&chunk(kind, flags, &value));
        }
        let tag = match self.tag {
            0 | 1 => puppet.tag,
            2 => puppet.own_tag,
            _ => 0,
        };
        packet(tag, &[made])
    }
}

/// One step.
#[derive(Debug)]
pub(crate) enum Step<'a> {
    /// The peer sends this packet this many times.
    Packets(Recipe<'a>, u8),
    /// The peer sends these bytes.
    Raw(&'a [u8]),
    /// An unknown address sends these bytes.
    Stranger(&'a [u8]),
    /// The peer sends a STUN request from one of its addresses.
    Check { address: u8, nominates: bool },
    /// Time passes.
    Wait(Duration),
    /// The application sends a message.
    Send { channel: u8, len: u16 },
    /// The application closes a channel and opens it again, if it can.
    Reopen { channel: u8 },
}

impl<'a> Step<'a> {
    /// `last`: the recipe of the previous packet.
    pub(crate) fn read(input: &mut Input<'a>, last: &mut Recipe<'a>) -> Self {
        let what = input.byte();
        match what & 15 {
            kind @ 0..=5 => {
                *last = Recipe { wire: kind >= 3, tag: what >> 4 & 3, bytes: input.block() };
                Self::Packets(*last, 1)
            }
            6 | 7 => Self::Packets(*last, input.byte()),
            8 => Self::Raw(input.block()),
            9 => Self::Stranger(input.block()),
            10 => Self::Check { address: input.byte(), nominates: what & 16 != 0 },
            11 | 12 => Self::Wait(input.duration()),
            13 | 14 => Self::Send { channel: input.byte(), len: input.u16() },
            _ => Self::Reopen { channel: input.byte() },
        }
    }
}

/// The maximum of packets in a script, enough to reach every bound with small chunks.
pub(crate) const MAX_PACKETS: u32 = 400;
