//! Datagrams in a TCP stream.

use datasoup::proto::framing::{MAX_FRAME, PREFIX, push_frame, take_frames};

use crate::input::Input;

/// One byte is the size of the parts in which the stream arrives, and the limit of frames per call.
/// The rest is the stream, and also the datagrams to frame.
pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let piece = usize::from(input.byte()) + 1;
    let stream = input.clone().rest();

    let mut whole = stream.to_vec();
    let (sane, expected) = take(&mut whole, usize::MAX);
    assert!(stream.ends_with(&whole), "the rest must be the end of the stream");
    let (mut bytes, mut got) = (Vec::new(), Vec::new());
    let all_sane = stream.chunks(piece).all(|arrived| {
        bytes.extend_from_slice(arrived);
        let (sane, frames) = take(&mut bytes, piece);
        got.extend(frames);
        assert!(
            !sane || bytes.len() < PREFIX + MAX_FRAME,
            "the reader holds {} bytes",
            bytes.len()
        );
        sane
    });
    assert_eq!(
        (all_sane, got),
        (sane, expected),
        "the frames depend on the parts in which the stream arrives"
    );

    let (mut framed, mut datagrams) = (Vec::new(), Vec::new());
    while !input.is_empty() {
        let len = usize::from(input.byte());
        let datagram = input.take(len).to_vec();
        assert!(push_frame(&mut framed, &datagram));
        datagrams.extend(Some(datagram).filter(|it| !it.is_empty()));
    }
    assert_eq!(take(&mut framed, 7), (true, datagrams));
    assert!(framed.is_empty());
}

fn take(bytes: &mut Vec<u8>, at_once: usize) -> (bool, Vec<Vec<u8>>) {
    let mut taken = Vec::new();
    loop {
        let mut allowed = at_once;
        let sane =
            take_frames(bytes, &mut allowed, &mut |datagram: &[u8]| taken.push(datagram.to_vec()));
        if !sane || allowed > 0 {
            return (sane, taken);
        }
    }
}
