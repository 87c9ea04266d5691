//! The system calls that receive and send the datagrams of one UDP socket. [`Datagrams`] has the same functions for
//! every system.

#[cfg(not(target_os = "linux"))]
mod elsewhere;
#[cfg(target_os = "linux")]
mod linux;

#[cfg(not(target_os = "linux"))]
pub(super) use elsewhere::Datagrams;
#[cfg(target_os = "linux")]
pub(super) use linux::Datagrams;
