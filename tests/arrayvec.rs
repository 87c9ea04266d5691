//! The vectors of bounded length in dimpl: see `crates/arrayvec`.

use std::panic::catch_unwind;

use arrayvec::ArrayVec;

/// A vector whose memory is too large to be allocated for all elements at once: it grows.
type Large = ArrayVec<[u8; 400], 3>;

#[test]
fn an_element_without_room_comes_back() {
    let mut large = Large::new();
    for n in 0..3 {
        assert!(!large.is_full());
        assert!(large.try_push([n; 400]).is_ok());
    }
    assert!(large.is_full());
    assert_eq!(large.try_push([3; 400]).unwrap_err().element(), [3; 400]);
    assert_eq!(large.as_slice(), [[0; 400], [1; 400], [2; 400]]);
}

#[test]
fn a_slice_without_room_changes_nothing() {
    let mut bytes: ArrayVec<u8, 4> = ArrayVec::new();
    assert!(bytes.try_extend_from_slice(&[1, 2, 3]).is_ok());
    assert!(bytes.try_extend_from_slice(&[4, 5]).is_err());
    assert_eq!(&bytes[..], [1, 2, 3]);
    assert!(bytes.try_extend_from_slice(&[4]).is_ok());
    assert_eq!(bytes, ArrayVec::from([1, 2, 3, 4]));
    assert!(ArrayVec::<u8, 4>::try_from(&[0; 5][..]).is_err());
    assert_eq!(ArrayVec::<u8, 4>::try_from(&[7; 4][..]).unwrap(), ArrayVec::from([7; 4]));
}

#[test]
fn more_than_the_capacity_panics_where_no_error_can_be_returned() {
    let filled = || (0..3).collect::<ArrayVec<u8, 3>>();
    assert!(catch_unwind(|| filled().push(3)).is_err());
    assert!(catch_unwind(|| (0..4).collect::<ArrayVec<u8, 3>>()).is_err());
}

#[test]
fn what_is_removed_leaves_room_and_the_order() {
    let mut vector: ArrayVec<u8, 5> = (0..5).collect();
    assert_eq!(vector.remove(1), 1);
    assert_eq!(vector.drain(1..3).collect::<Vec<_>>(), [2, 3]);
    assert!(vector.try_extend_from_slice(&[5, 6, 7]).is_ok());
    for it in &mut vector {
        *it += 1;
    }
    vector.retain(|it| *it % 2 == 1);
    assert_eq!((&vector).into_iter().copied().collect::<Vec<_>>(), [1, 5, 7]);
    vector.clear();
    assert!(vector.is_empty() && vector == ArrayVec::default());
}
