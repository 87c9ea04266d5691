//! Why a transport carries nothing: what has arrived of each protocol, and the first step that is missing.

use std::net::SocketAddr;

use crate::proto::dtls::{Dtls, DtlsRole, DtlsState};
use crate::proto::ice_lite::{IceState, StunCounters};
use crate::proto::reason::{Code, Reason};
use crate::proto::sctp::SctpState;
use crate::proto::session::Session;
use crate::sfu::contract::diagnosis::{
    Arrived, Diagnosis, DisplayAddr, DtlsArrived, Finding, SctpArrived, StunArrived,
};
use crate::sfu::contract::parameters::{IceCandidate, ListenProtocol};
use crate::sfu::entity::transport::sctp_over_udp::SctpOverUdp;
use crate::sfu::entity::transport::webrtc::WebRtc;
use crate::sfu::entity::transport::{Kind, Transport};

use super::TransportMut;

impl TransportMut<'_> {
    /// Returns what has arrived at the transport, and what is missing or has failed.
    pub fn diagnose(&mut self) -> Diagnosis {
        let transport = &self.sfu.transports[&self.key];
        let mut state = Arrived {
            sctp_state: transport.sctp_state(),
            sctp: transport.sctp_packets().map(|packets| SctpArrived {
                packets,
                messages_unrouted: transport.messages_unrouted,
            }),
            datagrams_dropped: transport.datagrams_dropped,
            ..Arrived::default()
        };
        let mut findings = Vec::new();
        match &transport.kind {
            Kind::Direct => {}
            Kind::WebRtc(it) => {
                state.ice_state = Some(it.peer.ice_state());
                state.dtls_state = Some(it.peer.session().dtls().state());
                state.stun = Some(StunArrived::from(it.peer.stun()));
                state.dtls = Some(DtlsArrived::from(it.peer.session().dtls()));
                let server = it.server.and_then(|key| self.sfu.servers.get(&key));
                diagnose_ice(it, server.map_or(0, |it| it.datagrams_dropped), &mut findings);
                diagnose_dtls(it.peer.session().dtls(), &mut findings);
                diagnose_sctp_over_dtls(it.peer.session(), &mut findings);
            }
            Kind::Plain(it) => {
                state.dropped_from = it.path.stray().map(DisplayAddr);
                diagnose_udp(&it.path, it.comedia, &mut findings);
            }
            Kind::Pipe(it) if it.tunnel.is_none() => {
                state.dropped_from = it.path.stray().map(DisplayAddr);
                match it.path.session() {
                    None => diagnose_udp(&it.path, false, &mut findings),
                    Some(session) => {
                        state.dtls_state = Some(session.dtls().state());
                        state.dtls = Some(DtlsArrived::from(session.dtls()));
                        diagnose_encrypted_pipe(&it.path, session, &mut findings);
                    }
                }
            }
            Kind::Pipe(_) => {}
        }
        diagnose_end(transport, &mut findings);
        diagnose_messages(transport, &mut findings);
        Diagnosis { state, findings }
    }
}

fn add(
    findings: &mut Vec<Finding>,
    code: &'static str,
    message: impl Into<String>,
    hint: impl Into<String>,
) {
    findings.push(Finding { code, message: message.into(), hint: hint.into() });
}

/// `unmatched`: how many datagrams at the transport's server were for none of its transports.
fn diagnose_ice(it: &WebRtc, unmatched: u64, findings: &mut Vec<Finding>) {
    match it.peer.ice_state() {
        IceState::Connected | IceState::Completed => {}
        IceState::New => {
            diagnose_stun(it.peer.stun(), findings);
            if it.peer.stun().received == 0 {
                findings.push(nothing_received(&it.ice_candidates(), unmatched));
            }
        }
        IceState::Disconnected => {
            findings.extend(it.peer.ice_loss().map(|it| of_reason(&it)));
            diagnose_stun(it.peer.stun(), findings);
        }
    }
}

fn nothing_received(candidates: &[IceCandidate], unmatched: u64) -> Finding {
    let has_tcp = candidates.iter().any(|it| it.protocol == ListenProtocol::Tcp);
    let shown: Vec<String> = candidates
        .iter()
        .map(|IceCandidate { protocol, address, port, .. }| {
            let protocol = if *protocol == ListenProtocol::Tcp { "tcp" } else { "udp" };
            let host = if address.contains(':') { format!("[{address}]") } else { address.clone() };
            format!("{protocol} {host}:{port}")
        })
        .collect();
    let shown = shown.join(", ");
    let mut message = format!("no STUN request has arrived at {shown}");
    if unmatched > 0 {
        let text = format!(", while its WebRtcServer got {unmatched} datagrams for no transport");
        message.push_str(&text);
    }
    let mut hint = format!(
        "the peer cannot reach {shown}: a firewall or a container may block UDP, or that is not the address under which \
         the peer sees this host. Open the port, or correct announcedAddress"
    );
    if !has_tcp {
        hint.push_str(
            "; a listenInfo with protocol 'tcp' adds a way past firewalls that block UDP",
        );
    }
    if candidates.iter().all(|it| it.address.starts_with("127.") || it.address == "::1") {
        hint.push_str(". These addresses reach only peers on the same host");
    }
    hint.push_str(
        ". A peer that has not got iceParameters and iceCandidates of this transport sends nothing",
    );
    Finding { code: "no-stun-received", message, hint }
}

/// Requests that have arrived and were rejected.
fn diagnose_stun(stun: &StunCounters, findings: &mut Vec<Finding>) {
    let from = stun.refused_from.map(|it| format!(", the last from {}", DisplayAddr(it)));
    let from = from.unwrap_or_default();
    for (count, code, what, hint) in [
        (
            stun.wrong_integrity,
            "stun-wrong-password",
            "were signed with another password",
            "the peer mixes the iceParameters of two transports, or of before and after restartIce(): give it both \
             usernameFragment and password of this one",
        ),
        (
            stun.wrong_username,
            "stun-wrong-username",
            "named another username fragment",
            "the peer has the iceParameters of another transport, or those of before restartIce()",
        ),
        (
            stun.role_conflict,
            Code::RoleConflict.as_str(),
            "claim that the peer is controlled",
            "this side is ICE-Lite, so the peer must control: give it iceParameters.iceLite (a=ice-lite in SDP)",
        ),
        (
            stun.malformed,
            "stun-malformed",
            "were malformed or incomplete",
            "a connectivity check has USERNAME and MESSAGE-INTEGRITY (RFC 8445 §7.1)",
        ),
    ] {
        if count > 0 {
            add(findings, code, format!("{count} STUN requests {what}{from}"), hint);
        }
    }
    if stun.over_quota > 0 {
        add(
            findings,
            "stun-over-quota",
            format!("{} STUN requests were too many to examine", stun.over_quota),
            "more than 100 arrive in 50 ms: something floods the port",
        );
    }
}

fn diagnose_dtls(dtls: &Dtls, findings: &mut Vec<Finding>) {
    match dtls.state() {
        DtlsState::New | DtlsState::Connected => {}
        DtlsState::Connecting => findings.push(unfinished(dtls)),
        DtlsState::Failed | DtlsState::Closed => {
            findings.extend(dtls.end_reason().map(of_reason));
        }
    }
}

fn unfinished(dtls: &Dtls) -> Finding {
    if let Some(reason) = dtls.suspicion() {
        return of_reason(reason);
    }
    let datagrams = dtls.datagrams();
    let (code, message, hint) = match (dtls.local_role(), datagrams) {
        (DtlsRole::Auto, _) => (
            "connect-not-called",
            format!(
                "the peer is reached, and {datagrams} datagrams of its DTLS handshake wait for connect()"
            ),
            "call transport.connect({ dtlsParameters }) with the peer's role and fingerprints",
        ),
        (DtlsRole::Server, 0) => (
            "no-client-hello",
            "the peer, which connect() says is the DTLS client, has not begun a handshake".into(),
            "check the role in connect(): it is the peer's own, and 'server' if the peer waits for us (a=setup:passive)",
        ),
        (DtlsRole::Client, 0) => (
            "no-dtls-answer",
            "the peer, which connect() says is the DTLS server, has not answered our ClientHello"
                .into(),
            "check that the peer has our answer (setRemoteDescription), and the role in connect(), which is the peer's own",
        ),
        _ => (
            "dtls-incomplete",
            format!(
                "{datagrams} datagrams of a DTLS handshake have arrived, and it is not complete"
            ),
            "if it stays so, the network loses larger packets: the path must carry UDP datagrams of 1,232 bytes",
        ),
    };
    Finding { code, message, hint: hint.into() }
}

fn diagnose_sctp_over_dtls(session: &Session, findings: &mut Vec<Finding>) {
    let Some(sctp) = session.sctp() else { return };
    if session.dtls().state() != DtlsState::Connected || sctp.state() != SctpState::Connecting {
        return;
    }
    match sctp.packets() {
        0 => add(
            findings,
            "no-sctp-received",
            "the DTLS session is established, and no SCTP packet has arrived",
            "the peer has no data channel: it must call createDataChannel() before it makes its offer (m=application in \
             SDP)",
        ),
        packets => add(
            findings,
            "sctp-incomplete",
            format!("{packets} SCTP packets have arrived, and the handshake is not complete"),
            "check that both sides use the same port (a=sctp-port:5000)",
        ),
    }
}

/// Whether nothing has come from the address of the peer.
fn diagnose_source(
    path: &SctpOverUdp,
    remote: SocketAddr,
    code: &'static str,
    findings: &mut Vec<Finding>,
) {
    let (local, remote) = (DisplayAddr(path.local()), DisplayAddr(remote));
    match path.stray() {
        Some(stray) => add(
            findings,
            "wrong-source",
            format!("datagrams arrive from {}, and connect() named {remote}", DisplayAddr(stray)),
            "give connect() the address that the peer sends from",
        ),
        None => add(
            findings,
            code,
            format!("nothing has arrived at udp {local} from {remote}"),
            "check that the peer listens at that address, that a firewall lets UDP pass both ways, and that the \
             peer sends to this port",
        ),
    }
}

/// Adds the findings about a pipe over DTLS.
fn diagnose_encrypted_pipe(path: &SctpOverUdp, session: &Session, findings: &mut Vec<Finding>) {
    let dtls = session.dtls();
    match (dtls.state(), path.remote()) {
        (DtlsState::New, _) | (_, None) => add(
            findings,
            "connect-not-called",
            "the address and the fingerprints of the peer are not known",
            "call transport.connect({ ip, port, dtlsParameters }) with those of the other PipeTransport",
        ),
        (DtlsState::Connecting, Some(remote)) if dtls.datagrams() == 0 => {
            let is_client = dtls.local_role() == DtlsRole::Client;
            let code = if is_client { "no-dtls-answer" } else { "no-client-hello" };
            diagnose_source(path, remote, code, findings);
        }
        (DtlsState::Connecting, Some(_)) => findings.push(unfinished(dtls)),
        (DtlsState::Failed | DtlsState::Closed, Some(_)) => {
            findings.extend(dtls.end_reason().map(of_reason));
        }
        (DtlsState::Connected, Some(_)) => match session.sctp() {
            Some(sctp) if sctp.state() == SctpState::New => diagnose_unused(path, findings),
            Some(sctp) if sctp.state() == SctpState::Connecting => add(
                findings,
                "sctp-incomplete",
                format!(
                    "the DTLS session is established, {} SCTP packets have arrived, and the handshake is not complete",
                    sctp.packets()
                ),
                "check that the other PipeTransport has enableSctp",
            ),
            _ => {}
        },
    }
}

/// Reports that the association has not begun because there is nothing to carry.
fn diagnose_unused(path: &SctpOverUdp, findings: &mut Vec<Finding>) {
    if !path.is_wanted() {
        add(
            findings,
            "nothing-to-carry",
            "there is no DataProducer or DataConsumer, so the association has not begun",
            "call produceData() or consumeData() on the transport",
        );
    }
}

fn diagnose_udp(path: &SctpOverUdp, comedia: bool, findings: &mut Vec<Finding>) {
    let Some(sctp) = path.sctp() else { return };
    let (local, packets) = (DisplayAddr(path.local()), sctp.packets());
    match (sctp.state(), path.remote()) {
        (SctpState::New | SctpState::Connecting, None) if comedia => add(
            findings,
            "no-sctp-received",
            format!("no peer has begun an association at udp {local}"),
            "with comedia the peer sends the first packet, an SCTP INIT: check its address for this host and the firewall",
        ),
        (SctpState::New, None) => add(
            findings,
            "connect-not-called",
            "the address of the peer is not known",
            "call transport.connect({ ip, port }) with the peer's address",
        ),
        (SctpState::New, Some(_)) if !path.is_wanted() => diagnose_unused(path, findings),
        (SctpState::New | SctpState::Connecting, Some(remote)) if packets == 0 => {
            diagnose_source(path, remote, "no-sctp-received", findings);
        }
        (SctpState::Connecting, Some(remote)) => add(
            findings,
            "sctp-incomplete",
            format!(
                "{packets} SCTP packets have arrived from {}, and the handshake is not complete",
                DisplayAddr(remote)
            ),
            "check that the peer receives what this side sends, and that only one association uses the address",
        ),
        _ => {}
    }
}

/// Why the association ended, unless it ended with the session, whose reason is already a finding.
fn diagnose_end(transport: &Transport, findings: &mut Vec<Finding>) {
    if let Some(reason) = transport.end_reason().filter(|_| transport.has_ended()) {
        let finding = of_reason(&reason);
        if !findings.contains(&finding) {
            findings.push(finding);
        }
    }
}

fn diagnose_messages(transport: &Transport, findings: &mut Vec<Finding>) {
    if transport.messages_unrouted > 0 {
        add(
            findings,
            "messages-unrouted",
            format!(
                "{} messages came on streams without a DataProducer",
                transport.messages_unrouted
            ),
            "call produceData() with the streamId of the peer's channel, before the peer sends",
        );
    }
}

/// The finding of a state that has a reason.
fn of_reason(reason: &Reason) -> Finding {
    let hint = match reason.code {
        Code::FingerprintMismatch => {
            "give connect() the fingerprint of the certificate that the peer uses for this connection"
        }
        Code::CertificateUnsupported => {
            "give the peer an ECDSA certificate on P-256, which is the default of browsers: RSA is not supported"
        }
        Code::CertificateRejected => {
            "give the peer one of dtlsParameters.fingerprints of this transport, unchanged"
        }
        Code::RoleConflict => {
            "role in connect() is the peer's own: 'client' if the peer sends the ClientHello (a=setup:active)"
        }
        Code::HandshakeTimeout => {
            "check the role in connect(), and that the network carries packets of 1,232 bytes both ways"
        }
        Code::HandshakeFailed => {
            "the peer must speak DTLS 1.2 with ECDHE and AES-GCM or ChaCha20-Poly1305"
        }
        Code::ConsentExpired => {
            "the peer or its network is gone; a valid STUN request reconnects, restartIce() gives it new credentials"
        }
        Code::ConnectionClosed => {
            "the peer connects again by a new TCP connection and a STUN request"
        }
        Code::PathTaken => {
            "the port of this peer is used for another session: it has reconnected, or its NAT has reused the port"
        }
        Code::PeerClosed => {
            "the peer has left: close the transport; for a new connection create another one"
        }
        Code::PeerAborted => {
            "the peer's own log says why it gave up; create another transport for a new connection"
        }
        Code::PeerSilent => {
            "the peer's process or its network is gone; create another transport when it is back"
        }
        Code::MessageTooLarge => {
            "the peer must keep to maxReceiveMessageSize (a=max-message-size in SDP); or create the transport with a \
             larger one"
        }
        Code::ReceiveBufferExhausted => {
            "the peer sends fragments and does not complete its messages; sctpMaxReceiverWindowBufferSize bounds them"
        }
        Code::ProtocolViolation => {
            "the peer does not keep to the protocol; its implementation is at fault"
        }
    };
    Finding {
        code: reason.code.as_str(),
        message: reason.message.clone().into(),
        hint: hint.into(),
    }
}
