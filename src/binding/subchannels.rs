//! Lists of subchannels from JavaScript.

use napi::bindgen_prelude::{Either, Uint16ArraySlice};

use crate::sfu::subchannels::Subchannels;

/// A list as lib/ passes it: a long one as a typed array, which is read at once. Each item of an array is a call of its
/// own, which for 65,535 of them takes 3 ms.
pub(super) type List<'a> = Either<Vec<u32>, Uint16ArraySlice<'a>>;

/// The set of the subchannels in a list, which lib/ has checked.
pub(super) fn set_of(list: &List<'_>) -> Subchannels {
    match list {
        Either::A(list) => list.iter().map(|it| *it as u16).collect(),
        Either::B(list) => list.iter().copied().collect(),
    }
}
