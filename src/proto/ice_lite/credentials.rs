//! ICE credentials, and their replacement by a restart (RFC 8445 §9).

use std::fmt;

use rand::Rng;

use crate::proto::stun::Key;

/// The length of both credentials: 32 of 36 characters, 165 bits each (RFC 8445 §5.3 asks for 24
/// and 128).
const CREDENTIAL_CHARS: usize = 32;

/// The secrets: each request of the peer must prove that the peer knows them.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// Our part of a USERNAME, before the ':'. 32 lowercase letters and digits.
    pub username_fragment: String,
    /// The key of MESSAGE-INTEGRITY. 32 lowercase letters and digits.
    pub password: String,
}

impl Credentials {
    /// Makes credentials from a cryptographic random source.
    pub fn generate() -> Self {
        const ALPHABET: &[u8; 36] = b"abcdefghijklmnopqrstuvwxyz0123456789";
        let mut rng = rand::rng();
        let mut chars = || {
            (0..CREDENTIAL_CHARS)
                .map(|_| char::from(ALPHABET[rng.random_range(0..ALPHABET.len())]))
                .collect()
        };
        Self { username_fragment: chars(), password: chars() }
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The password must not appear in a log.
        f.debug_struct("Credentials")
            .field("username_fragment", &self.username_fragment)
            .finish_non_exhaustive()
    }
}

/// Credentials and the key made of them.
#[derive(Debug)]
struct Secret {
    credentials: Credentials,
    key: Key,
}

impl Secret {
    fn generate() -> Self {
        let credentials = Credentials::generate();
        let key = Key::new(&credentials.password);
        Self { credentials, key }
    }
}

/// A generation of credentials. Both generations are valid after a restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Generation {
    Current,
    /// The credentials before a restart.
    Previous,
}

/// The valid credentials: the current ones, and after a restart the previous ones until they are retired.
#[derive(Debug)]
pub(super) struct Secrets {
    current: Secret,
    previous: Option<Secret>,
}

impl Secrets {
    pub(super) fn generate() -> Self {
        Self { current: Secret::generate(), previous: None }
    }

    pub(super) fn current(&self) -> &Credentials {
        &self.current.credentials
    }

    /// The valid username fragments: one, or two after a restart.
    pub(super) fn username_fragments(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&self.current)
            .chain(&self.previous)
            .map(|secret| secret.credentials.username_fragment.as_str())
    }

    pub(super) fn find(&self, username_fragment: &str) -> Option<Generation> {
        let is = |secret: &Secret| secret.credentials.username_fragment == username_fragment;
        if is(&self.current) {
            Some(Generation::Current)
        } else {
            self.previous.as_ref().is_some_and(is).then_some(Generation::Previous)
        }
    }

    pub(super) fn key(&self, generation: Generation) -> Option<&Key> {
        match generation {
            Generation::Current => Some(&self.current.key),
            Generation::Previous => self.previous.as_ref().map(|secret| &secret.key),
        }
    }

    /// Makes new credentials. The current ones become the previous ones; the caller has retired any older
    /// ones.
    pub(super) fn rotate(&mut self) {
        self.previous = Some(std::mem::replace(&mut self.current, Secret::generate()));
    }

    /// Ends the previous credentials. Returns their username fragment.
    pub(super) fn retire_previous(&mut self) -> Option<String> {
        self.previous.take().map(|secret| secret.credentials.username_fragment)
    }
}
