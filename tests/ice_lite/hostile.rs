//! Invalid requests create no state, and no answer is larger than its request.

use rand::rngs::StdRng;
use rand::{Rng, RngCore, SeedableRng};
use stun_types::attribute::{AttributeWriteExt, Fingerprint};

use super::*;

/// The time between two requests that keeps them under the quota.
const UNHURRIED: Duration = Duration::from_millis(1);

#[test]
fn a_rejected_request_creates_no_state() {
    let mut lab = Lab::new();
    let ours = lab.ice.credentials().clone();
    let other = Credentials::generate();
    let half =
        Credentials { username_fragment: ours.username_fragment[..31].into(), ..ours.clone() };
    let wrong = Credentials { password: other.password.clone(), ..ours.clone() };
    let unsigned = {
        let mut message = Message::builder_request(BINDING, MessageWriteVec::new());
        let username = format!("{}:peer", ours.username_fragment);
        message.add_attribute(&Username::new(&username).unwrap()).unwrap();
        message.add_attribute(&RawAttribute::new(0x0025.into(), &[])).unwrap();
        message.finish()
    };
    for (what, datagram, code) in [
        ("an unknown fragment", request(&other, USE_CANDIDATE), 401),
        ("a part of our fragment", request(&half, USE_CANDIDATE), 401),
        ("the wrong password", request(&wrong, USE_CANDIDATE), 401),
        ("no integrity", unsigned, 400),
        ("a controlled peer", request(&ours, &[(0x8029, &[0xff; 8])]), 487),
        ("a controlled peer with tie-breaker 0", request(&ours, &[(0x8029, &[0; 8])]), 487),
        ("an unknown attribute", request(&ours, &[(0x7fff, b"?")]), 420),
    ] {
        assert_eq!(lab.receive(tuple(1), &datagram), [], "{what}");
        assert_eq!(lab.answer(), Some((MessageClass::Error, Some(code))), "{what}");
        lab.assert_untouched();
    }
}

#[test]
fn responses_indications_and_bare_requests_are_not_answered() {
    let mut lab = Lab::new();
    let valid = request(lab.ice.credentials(), USE_CANDIDATE);
    let parsed = Message::from_bytes(&valid).unwrap();
    for datagram in [
        Message::builder_success(&parsed, MessageWriteVec::new()).finish(),
        Message::builder_error(&parsed, MessageWriteVec::new()).finish(),
        Message::builder_indication(BINDING, MessageWriteVec::new()).finish(),
        // A request without attributes, which scanners send to find servers for reflection attacks.
        Message::builder_request(BINDING, MessageWriteVec::new()).finish(),
    ] {
        assert_eq!(lab.receive(tuple(1), &datagram), []);
        assert!(lab.out.is_empty());
        lab.assert_untouched();
    }
}

#[test]
fn a_flood_of_fragments_and_addresses_creates_no_state() {
    let mut lab = Lab::new();
    for n in 0..5_000 {
        let datagram = request(&Credentials::generate(), USE_CANDIDATE);
        lab.pass(UNHURRIED);
        assert_eq!(lab.receive(tuple(n), &datagram), []);
        assert_eq!(lab.answer(), Some((MessageClass::Error, Some(401))));
    }
    lab.assert_untouched();
}

#[test]
fn requests_without_our_fragment_do_not_keep_the_peer_out() {
    let mut lab = Lab::new();
    let valid = request(lab.ice.credentials(), USE_CANDIDATE);
    for n in 0..1_000 {
        lab.receive(tuple(n), &request(&Credentials::generate(), USE_CANDIDATE));
        lab.receive(tuple(n), &[0; 20]);
    }
    assert_eq!(lab.receive(tuple(1), &valid).last(), Some(&State(Completed)));
}

#[test]
fn no_mutation_of_a_valid_request_panics_or_creates_state() {
    let mut rng = StdRng::seed_from_u64(0x1ce);
    let mut lab = Lab::new();
    let credentials = lab.ice.credentials().clone();
    let valid = request(&credentials, USE_CANDIDATE);
    // MESSAGE-INTEGRITY ends here; FINGERPRINT follows.
    let signed = valid.len() - 8;
    for _ in 0..200_000 {
        let mut datagram = valid.clone();
        match rng.random_range(0..5) {
            0 => datagram.truncate(rng.random_range(0..signed)),
            1 => datagram.extend((0..rng.random_range(1..64)).map(|_| rng.random::<u8>())),
            _ => {}
        }
        // At least one byte that the integrity covers differs. Half of the time the FINGERPRINT is
        // corrected, so that the mutation passes it.
        for _ in 0..rng.random_range(1..4) {
            let at = rng.random_range(0..datagram.len().clamp(1, signed));
            if let Some(byte) = datagram.get_mut(at) {
                *byte ^= rng.random_range(1..=255u8);
            }
        }
        if rng.random() && datagram.len() > 28 {
            repair(&mut datagram);
        }
        // The integrity covers all but the length, which its calculation replaces (RFC 8489 §14.5).
        let covered = |datagram: &[u8]| {
            [datagram.get(..2), datagram.get(4..signed)].map(|part| part.map(<[u8]>::to_vec))
        };
        if covered(&datagram) == covered(&valid) {
            continue;
        }
        lab.pass(UNHURRIED);
        assert_eq!(lab.receive(tuple(1), &datagram), [], "{datagram:02x?}");
        lab.assert_untouched();
    }
    assert_eq!(lab.receive(tuple(1), &valid).last(), Some(&State(Completed)));
}

/// Corrects the length in the header and the FINGERPRINT at the end.
fn repair(datagram: &mut Vec<u8>) {
    datagram.truncate((datagram.len() / 4 * 4).max(28));
    let body = datagram.len() - 8;
    let len = u16::try_from(datagram.len() - 20).unwrap();
    datagram[2..4].copy_from_slice(&len.to_be_bytes());
    let fingerprint = Fingerprint::new(Fingerprint::compute(&[&datagram[..body]]));
    fingerprint.write_into(&mut datagram[body..]).unwrap();
}

#[test]
fn no_garbage_panics_or_creates_state() {
    let mut rng = StdRng::seed_from_u64(0x57);
    let mut lab = Lab::new();
    let mut datagram = Vec::new();
    for _ in 0..100_000 {
        datagram.resize(rng.random_range(0..200), 0);
        rng.fill_bytes(&mut datagram);
        // Half of the garbage looks like a Binding request whose attributes have small lengths.
        if rng.random() && datagram.len() >= 20 {
            datagram.truncate(datagram.len() / 4 * 4);
            let len = u16::try_from(datagram.len() - 20).unwrap().to_be_bytes();
            datagram[..8].copy_from_slice(&[0, 1, len[0], len[1], 0x21, 0x12, 0xa4, 0x42]);
            for attribute in datagram[20..].chunks_exact_mut(4).step_by(2) {
                let kind = [0x06, 0x08, 0x1c, 0x20, 0x24, 0x25, 0x30][rng.random_range(0..7)];
                attribute.copy_from_slice(&[0, kind, 0, rng.random_range(0..6)]);
            }
        }
        lab.pass(UNHURRIED);
        assert_eq!(lab.receive(tuple(1), &datagram), [], "{datagram:02x?}");
    }
    lab.assert_untouched();
}

#[test]
fn a_flood_of_forgeries_is_verified_within_its_quota_and_leaves_that_of_the_peer_alone() {
    let mut lab = Lab::new();
    let credentials = lab.ice.credentials().clone();
    lab.check(tuple(1), USE_CANDIDATE);
    let password = Credentials::generate().password;
    let forged = request(&Credentials { password, ..credentials.clone() }, USE_CANDIDATE);
    for n in 0..20 {
        lab.pass(Duration::from_millis(50));
        let mut answers = 0;
        for m in 0..1000 {
            assert_eq!(lab.receive(tuple(2 + m), &forged), []);
            answers += u32::from(lab.answer().is_some());
        }
        assert_eq!(answers, 100, "the quota allows 100 answers in 50 ms");
        // The peer is answered during the flood.
        assert_eq!(lab.receive(tuple(1), &request(&credentials, USE_CANDIDATE)), []);
        assert_eq!(lab.answer(), Some((MessageClass::Success, None)), "round {n}");
    }
    assert_eq!(lab.tuples(), [tuple(1)]);
    lab.pass(Duration::from_millis(50));
    // A new path can be found after the flood.
    lab.check(tuple(2), USE_CANDIDATE);
    assert_eq!(lab.tuples(), [tuple(1), tuple(2)]);
}

#[test]
fn requests_without_our_fragment_over_a_valid_tuple_leave_the_quota_of_the_peer_alone() {
    let mut lab = Lab::new();
    let credentials = lab.ice.credentials().clone();
    lab.check(tuple(1), USE_CANDIDATE);
    let mut no_username = Message::builder_request(BINDING, MessageWriteVec::new());
    no_username.add_attribute(&RawAttribute::new(0x8022.into(), &[b'x'; 40])).unwrap();
    let unknown = [request(&Credentials::generate(), USE_CANDIDATE), no_username.finish()];
    for datagram in unknown {
        lab.pass(Duration::from_millis(50));
        let mut answers = 0;
        for _ in 0..1000 {
            // The flood comes from the peer's address, because an attacker can forge the source address.
            assert_eq!(lab.receive(tuple(1), &datagram), []);
            answers += u32::from(lab.answer().is_some());
        }
        assert_eq!(
            answers, 100,
            "requests without our fragment over a valid tuple have a quota of their own"
        );
        for n in 0..100 {
            lab.receive(tuple(1), &request(&credentials, USE_CANDIDATE));
            assert_eq!(lab.answer(), Some((MessageClass::Success, None)), "request {n}");
        }
    }
}

#[test]
fn a_peer_that_asks_too_fast_gets_fewer_answers_and_keeps_its_path() {
    let mut lab = Lab::new();
    let valid = request(&lab.ice.credentials().clone(), USE_CANDIDATE);
    let mut answers = 0;
    for n in 0..1000 {
        lab.receive(tuple(n % 8), &valid);
        answers += u32::from(lab.answer().is_some());
    }
    // The quota allows 100 answers over valid tuples. The answers to the requests that made the 8 tuples valid come on
    // top.
    assert!((100..=108).contains(&answers), "{answers}");
    assert_eq!(lab.ice.state(), Completed);
}

#[test]
fn every_request_is_counted_once_by_what_became_of_it() {
    let mut lab = Lab::new();
    let ours = lab.ice.credentials().clone();
    lab.check(tuple(1), PLAIN);
    lab.receive(tuple(2), &checks::request(&ours.username_fragment, "another", PLAIN));
    lab.receive(tuple(3), &checks::request("another", &ours.password, PLAIN));
    lab.check(tuple(4), &[(0x8029, &[0; 8])]);
    lab.check(tuple(5), &[(0x7001, &[])]);
    let expected = StunCounters {
        received: 5,
        valid: 1,
        wrong_integrity: 1,
        wrong_username: 1,
        role_conflict: 1,
        malformed: 1,
        over_quota: 0,
        valid_from: Some(tuple(1).remote),
        refused_from: Some(tuple(5).remote),
    };
    assert_eq!(*lab.ice.stun(), expected);
    for _ in 0..200 {
        lab.receive(tuple(6), &checks::request("another", &ours.password, PLAIN));
    }
    let stun = *lab.ice.stun();
    assert_eq!((stun.received, stun.wrong_username + stun.over_quota), (205, 201));
    assert!(stun.over_quota > 0, "{stun:?}");
}
