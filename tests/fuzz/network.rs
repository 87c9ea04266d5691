//! Two associations over a network that treats each packet as the input says. Whatever their transmission control does
//! then, messages arrive as they were sent.

use std::time::Duration;

use bytes::Bytes;

use crate::input::Input;
use crate::sim::{Conditions, Side};
use crate::two_peers::Model;

/// The delay of an undisturbed packet.
const DELAY: Duration = Duration::from_millis(10);

/// `data` begins with the flags of `two_peers`, whose second bit means that the handshake goes over the network too.
/// Then come a block with one byte for the fate of each packet, which is repeated (see [`arrivals`]), and the actions
/// of `two_peers`.
pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let flags = input.byte();
    let fates = input.block().to_vec();
    let mut packets = 0;
    let link = Box::new(move |_: Side, packet: Bytes| {
        let fate = fates.get(packets % fates.len().max(1)).copied().unwrap_or(0);
        packets += 1;
        arrivals(fate).into_iter().flatten().map(|after| (after, packet.clone())).collect()
    });
    let mut model = Model::new(flags, 0, Conditions { delay: DELAY, ..Conditions::PERFECT });
    if flags & 2 == 0 {
        model.connect();
        model.net.link = Some(link);
    } else {
        model.net.link = Some(link);
        model.connect();
    }
    model.perform(input);
}

/// When a packet arrives: the upper two bits say what happens to it, the others are a time.
fn arrivals(fate: u8) -> [Option<Duration>; 2] {
    let time = u64::from(fate & 63);
    match fate >> 6 {
        0 => [Some(DELAY + Duration::from_millis(time)), None],
        1 => [None; 2],
        2 => [Some(DELAY), Some(DELAY + Duration::from_millis(time * time / 2))],
        _ => [Some(DELAY + Duration::from_millis(time * time)), None],
    }
}
