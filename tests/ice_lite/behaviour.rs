//! The behaviour of the agent with a correct peer.

use datasoup::proto::reason::Code;
use stun_types::attribute::XorMappedAddress;

use super::*;

#[test]
fn credentials_are_32_lowercase_letters_and_digits() {
    let (one, other) = (Credentials::generate(), Credentials::generate());
    for text in [&one.username_fragment, &one.password] {
        assert_eq!(text.len(), 32);
        assert!(text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit()), "{text}");
    }
    assert_ne!(one, other);
    assert_ne!(one.username_fragment, one.password);
    assert!(!format!("{one:?}").contains(&one.password));
    assert!(!format!("{:?}", IceLite::new(None)).contains("password"));
}

#[test]
fn states_are_shown_in_lower_case() {
    let shown = serde_json::to_string(&[New, Connected, Completed, Disconnected]).unwrap();
    assert_eq!(shown, r#"["new","connected","completed","disconnected"]"#);
}

#[test]
fn the_first_valid_tuple_is_selected_and_a_nomination_completes() {
    let mut lab = Lab::new();
    lab.assert_untouched();
    assert_eq!(
        lab.check(tuple(1), PLAIN),
        [TupleAdded(tuple(1)), SelectedTuple(tuple(1)), State(Connected)]
    );
    assert_eq!(lab.answer(), Some((MessageClass::Success, None)));
    assert_eq!(lab.check(tuple(1), PLAIN), []);
    assert_eq!(lab.check(tuple(1), USE_CANDIDATE), [State(Completed)]);
    assert_eq!(lab.check(tuple(1), USE_CANDIDATE), []);
    assert!(lab.ice.is_valid(tuple(1)) && !lab.ice.is_valid(tuple(2)));
    assert_eq!(lab.ice.path(), Some(tuple(1)));
}

#[test]
fn a_first_request_that_nominates_completes_at_once() {
    for attributes in [USE_CANDIDATE, &[(0x0030, &[0, 0, 0, 1])], &[(0xC001, &[0, 0, 0, 1])]] {
        let mut lab = Lab::new();
        assert_eq!(
            lab.check(tuple(1), attributes),
            [TupleAdded(tuple(1)), SelectedTuple(tuple(1)), State(Completed)]
        );
    }
}

#[test]
fn the_success_names_the_address_of_the_peer() {
    let mut lab = Lab::new();
    lab.check(tuple(7), PLAIN);
    let (_, datagram) = lab.out.get(0).unwrap();
    let message = Message::from_bytes(datagram).unwrap();
    let mapped = message.attribute::<XorMappedAddress>().unwrap();
    assert_eq!(mapped.addr(message.transaction_id()), tuple(7).remote);
    let key = ShortTermCredentials::new(lab.ice.credentials().password.clone()).make_key();
    assert!(message.validate_integrity_with_key(&key).is_ok());

    // The shortest request over IPv6 has the least room for its answer.
    let tuple = Tuple { remote: "[2001:db8::1]:5000".parse().unwrap(), ..tuple(0) };
    let credentials = lab.ice.credentials().clone();
    let mut shortest = Message::builder_request(BINDING, MessageWriteVec::new());
    let username = format!("{}:", credentials.username_fragment);
    shortest.add_attribute(&Username::new(&username).unwrap()).unwrap();
    shortest.add_message_integrity_with_key(&key, IntegrityAlgorithm::Sha1).unwrap();
    assert_eq!(lab.receive(tuple, &shortest.finish()), [TupleAdded(tuple)]);
    assert_eq!(lab.answer(), Some((MessageClass::Success, None)));
}

#[test]
fn a_nomination_selects_another_tuple_before_it_completes() {
    let mut lab = Lab::new();
    lab.check(tuple(1), PLAIN);
    assert_eq!(lab.check(tuple(2), PLAIN), [TupleAdded(tuple(2))]);
    assert_eq!(lab.check(tuple(2), USE_CANDIDATE), [SelectedTuple(tuple(2)), State(Completed)]);
    assert_eq!(
        lab.check(tuple(1), PLAIN),
        [],
        "a check without a nomination must not change the selected tuple"
    );
    assert_eq!(lab.check(tuple(1), USE_CANDIDATE), [SelectedTuple(tuple(1))]);
}

#[test]
fn only_a_newer_nomination_moves_the_selection() {
    let mut lab = Lab::new();
    assert_eq!(
        lab.nominate(tuple(1), 0).last(),
        Some(&State(Connected)),
        "a NOMINATION of 0 must not complete ICE"
    );
    assert_eq!(lab.nominate(tuple(1), 5), [State(Completed)]);
    assert_eq!(lab.nominate(tuple(2), 5), [TupleAdded(tuple(2))]);
    assert_eq!(lab.nominate(tuple(2), 4), []);
    assert_eq!(lab.nominate(tuple(2), 6), [SelectedTuple(tuple(2))]);
    let both: &[(u16, &[u8])] = &[(0x0025, &[]), (0x0030, &[0, 0, 0, 5])];
    assert_eq!(lab.check(tuple(1), both), [], "an old NOMINATION outweighs USE-CANDIDATE");
    assert_eq!(lab.nominate(tuple(1), u32::MAX), [SelectedTuple(tuple(1))]);
}

#[test]
fn data_from_another_valid_tuple_moves_the_selection() {
    let mut lab = Lab::new();
    assert_eq!(lab.data(tuple(1)), []);
    lab.assert_untouched();
    lab.check(tuple(1), USE_CANDIDATE);
    assert_eq!(lab.data(tuple(2)), [], "data over a tuple that is not valid must have no effect");
    lab.check(tuple(2), PLAIN);
    assert_eq!(lab.data(tuple(1)), []);
    assert_eq!(lab.data(tuple(2)), [SelectedTuple(tuple(2))]);
    assert_eq!(lab.ice.path(), Some(tuple(2)));
    assert_eq!(lab.ice.state(), Completed);
}

#[test]
fn a_ninth_tuple_evicts_the_oldest_that_is_not_selected() {
    let mut lab = Lab::new();
    for n in 1..=8 {
        lab.check(tuple(n), PLAIN);
    }
    assert_eq!(lab.check(tuple(9), PLAIN), [TupleRemoved(tuple(2)), TupleAdded(tuple(9))]);
    assert_eq!(lab.tuples(), [1, 3, 4, 5, 6, 7, 8, 9].map(tuple));
    lab.check(tuple(3), USE_CANDIDATE);
    assert_eq!(
        lab.check(tuple(10), USE_CANDIDATE),
        [TupleRemoved(tuple(1)), TupleAdded(tuple(10)), SelectedTuple(tuple(10))]
    );
    for n in 100..10_000 {
        lab.check(tuple(n), PLAIN);
    }
    assert_eq!(lab.tuples().len(), 8);
    assert_eq!(lab.ice.path(), Some(tuple(10)));
}

#[test]
fn without_requests_consent_times_out_and_a_request_reconnects() {
    let mut lab = Lab::new();
    lab.check(tuple(1), USE_CANDIDATE);
    lab.check(tuple(2), PLAIN);
    assert_eq!(lab.ice.poll_timeout(), Some(lab.now + CONSENT));
    assert_eq!(lab.pass(CONSENT - Duration::from_millis(1)), []);
    lab.data(tuple(1)); // data does not renew consent: only a check does
    assert_eq!(
        lab.pass(Duration::from_millis(1)),
        [TupleRemoved(tuple(1)), TupleRemoved(tuple(2)), State(Disconnected)]
    );
    assert_eq!(
        lab.ice.selected(),
        Some(tuple(1)),
        "the selected tuple stays visible after its consent has expired"
    );
    assert_eq!(lab.ice.path(), None, "the agent must not send to a tuple without consent");
    assert_eq!((lab.tuples(), lab.ice.poll_timeout()), (vec![], None));
    assert_eq!(lab.data(tuple(1)), []);
    assert_eq!(lab.pass(CONSENT), []);

    // A tuple that was removed is announced again when a valid request comes over it.
    assert_eq!(
        lab.check(tuple(1), PLAIN),
        [TupleAdded(tuple(1)), SelectedTuple(tuple(1)), State(Connected)]
    );
    assert_eq!(lab.pass(CONSENT).last(), Some(&State(Disconnected)));
    assert_eq!(
        lab.check(tuple(3), USE_CANDIDATE),
        [TupleAdded(tuple(3)), SelectedTuple(tuple(3)), State(Completed)]
    );
}

#[test]
fn requests_from_any_valid_tuple_renew_consent() {
    let mut lab = Lab::new();
    lab.nominate(tuple(1), 9);
    for n in 2..20 {
        assert_eq!(lab.pass(CONSENT - Duration::from_secs(1)), []);
        lab.check(tuple(n % 4), PLAIN);
    }
    assert_eq!(lab.pass(CONSENT).last(), Some(&State(Disconnected)));
    // The peer may have restarted, so the agent must accept a NOMINATION that counts from one again.
    assert_eq!(lab.nominate(tuple(1), 1).last(), Some(&State(Completed)));
}

#[test]
fn invalid_requests_do_not_renew_consent() {
    let mut lab = Lab::new();
    lab.check(tuple(1), USE_CANDIDATE);
    assert_eq!(lab.pass(CONSENT - Duration::from_secs(1)), []);
    let wrong = Credentials { password: "x".repeat(32), ..lab.ice.credentials().clone() };
    assert_eq!(lab.receive(tuple(1), &request(&wrong, PLAIN)), []);
    assert_eq!(lab.pass(Duration::from_secs(1)).last(), Some(&State(Disconnected)));
}

#[test]
fn without_a_consent_timeout_nothing_times_out() {
    let mut lab = Lab::with_consent(None);
    lab.check(tuple(1), PLAIN);
    assert_eq!(lab.ice.poll_timeout(), None);
    assert_eq!(lab.pass(Duration::from_secs(86_400)), []);
    let mut lab = Lab::with_consent(Some(Duration::MAX));
    lab.check(tuple(1), PLAIN);
    assert_eq!(
        lab.ice.poll_timeout(),
        None,
        "a deadline later than the latest Instant counts as none"
    );
}

#[test]
fn a_removed_tuple_is_replaced_by_the_one_used_last() {
    let mut lab = Lab::new();
    for n in 1..=4 {
        lab.check(tuple(n), PLAIN);
    }
    for from in [4, 3, 2] {
        lab.pass(Duration::from_secs(1));
        lab.check(tuple(from), PLAIN);
    }
    let mut remove = |n| {
        lab.ice.remove_tuple(tuple(n), Code::ConnectionClosed);
        std::iter::from_fn(|| lab.ice.poll_event()).collect::<Vec<_>>()
    };
    assert_eq!(remove(3), []);
    assert_eq!(remove(99), [], "unknown");
    assert_eq!(remove(1), [SelectedTuple(tuple(2))]);
    assert_eq!(remove(2), [SelectedTuple(tuple(4))]);
    assert_eq!(remove(4), [State(Disconnected)]);
    assert_eq!(remove(4), []);
    assert_eq!((lab.ice.selected(), lab.ice.path()), (Some(tuple(4)), None));
    assert_eq!(lab.ice.poll_timeout(), None);
    assert_eq!(lab.ice.loss().map(|it| it.code), Some(Code::ConnectionClosed));
    assert_eq!(lab.check(tuple(4), PLAIN).last(), Some(&State(Connected)));
    assert_eq!(lab.ice.loss(), None, "connected again");
}

#[test]
fn after_a_restart_the_old_credentials_are_valid_until_the_new_ones_are_used() {
    let mut lab = Lab::new();
    let old = lab.ice.credentials().clone();
    lab.nominate(tuple(1), 3);
    let new = lab.ice.restart();
    assert_eq!(&new, lab.ice.credentials());
    assert!(new.username_fragment != old.username_fragment && new.password != old.password);
    assert_eq!((lab.ice.state(), lab.tuples()), (Completed, vec![tuple(1)]));
    assert!(lab.accepts(&old));
    assert!(lab.accepts(&new));

    assert_eq!(lab.receive(tuple(2), &request(&old, PLAIN)), [TupleAdded(tuple(2))]);
    assert_eq!(lab.answer(), Some((MessageClass::Success, None)));
    let mixed = Credentials { password: old.password.clone(), ..new.clone() };
    assert_eq!(lab.receive(tuple(3), &request(&mixed, PLAIN)), []);
    assert_eq!(lab.answer(), Some((MessageClass::Error, Some(401))));

    // With the new credentials the count of nominations begins again.
    assert_eq!(
        lab.nominate(tuple(3), 1),
        [
            CredentialsRetired(old.username_fragment.clone()),
            TupleAdded(tuple(3)),
            SelectedTuple(tuple(3)),
        ]
    );
    assert!(!lab.accepts(&old));
    assert_eq!(lab.receive(tuple(1), &request(&old, USE_CANDIDATE)), []);
    assert_eq!(lab.answer(), Some((MessageClass::Error, Some(401))));
}

#[test]
fn a_second_restart_retires_the_credentials_before_the_first() {
    let mut lab = Lab::new();
    let first = lab.ice.credentials().clone();
    let second = lab.ice.restart();
    assert_eq!(lab.events(), []);
    let third = lab.ice.restart();
    assert_eq!(lab.events(), [CredentialsRetired(first.username_fragment.clone())]);
    assert!(!lab.accepts(&first));
    assert_eq!(lab.receive(tuple(1), &request(&second, PLAIN)).last(), Some(&State(Connected)));
    assert_eq!(
        lab.receive(tuple(1), &request(&third, PLAIN)),
        [CredentialsRetired(second.username_fragment)]
    );
}
