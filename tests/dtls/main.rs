//! DTLS sessions over a link in memory, in virtual time.

mod handshake;
mod harness;
mod hostile;
mod measure;
