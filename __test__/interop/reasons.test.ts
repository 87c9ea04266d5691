import '../helpers/closeWorkers';
import * as path from 'node:path';
import type { types } from '../..';
import { LOOPBACK, SOME_FINGERPRINTS, arrange } from '../helpers/arrangement';
import { EventRecorder, ends } from '../helpers/EventRecorder';
import { objects } from '../helpers/objects';
import { peers } from '../helpers/peers';
import { freePort } from '../helpers/sockets';
import { nextEvent, until, untilState, type Emitter } from '../helpers/wait';
import { WebRtcPeers, type ClientRole } from '../helpers/WebRtcPeers';

/** Why a connection with a WebRTC client (libdatachannel) failed or ended. */

const CHANNELS = [{ id: 0 }, { id: 1 }];

/** The configuration of a client whose certificate has an RSA key. */
const RSA = {
  certificatePemFile: path.join(__dirname, '../helpers/fixtures/rsa-cert.pem'),
  keyPemFile: path.join(__dirname, '../helpers/fixtures/rsa-key.pem'),
};

/** Waits for the end of the DTLS session, and expects the same reason in the event, the getters and the observer. */
async function expectDtlsError(
  transport: types.WebRtcTransport,
  code: types.DtlsErrorCode,
  message: RegExp,
): Promise<void> {
  const [dtls, observed, sctp] = await Promise.all([
    nextFinal(transport, 'dtlsstatechange'),
    nextFinal(transport.observer, 'dtlsstatechange'),
    nextFinal(transport, 'sctpstatechange'),
  ]);
  const error = { code, message: expect.stringMatching(message) };
  expect(dtls).toEqual(['failed', error]);
  expect(observed).toEqual(['failed', error]);
  expect(sctp).toEqual(['closed', error]);
  expect(transport.dtlsError).toEqual(error);
  expect(transport.sctpError).toEqual(error);
  expect(transport.iceError).toBeUndefined();
}

/** The arguments of the event with the last state. Earlier events have no second argument. */
async function nextFinal(emitter: Emitter, event: string): Promise<unknown[]> {
  const all: unknown[][] = [];
  const isFinal = ([state]: unknown[]): boolean =>
    ['disconnected', 'failed', 'closed'].includes(state as string);
  emitter.on(event, (...args: unknown[]) => all.push(args));
  await until(emitter, event, () => all.some(isFinal));
  expect(all.filter((args) => !isFinal(args) && args.length > 1)).toEqual([]);
  return all.find(isFinal)!;
}

/** Connects a client with this DTLS role. */
async function dial(
  role: ClientRole,
  {
    dtlsParameters = {},
    ...options
  }: {
    config?: Record<string, unknown>;
    alter?: (sdp: string) => string;
    dtlsParameters?: Partial<types.DtlsParameters>;
  } = {},
): Promise<void> {
  const transport = objects.webRtcTransport;
  const peer = await peers.create({ channels: CHANNELS, ...options });
  await transport.connect({ dtlsParameters: { ...peer.dtlsParameters(role), ...dtlsParameters } });
  await peer.dial(transport, role, options.alter);
}

describe.each<ClientRole>(['client', 'server'])('a client that is the DTLS %s', (role) => {
  test("with another certificate than announced: 'fingerprint-mismatch'", async () => {
    const failed = expectDtlsError(
      objects.webRtcTransport,
      'fingerprint-mismatch',
      /matches no given fingerprint: its sha-256 is ([0-9A-F]{2}:){31}/,
    );
    await dial(role, { dtlsParameters: { fingerprints: SOME_FINGERPRINTS } });
    await failed;
  });

  test("that has a wrong fingerprint of ours: 'certificate-rejected'", async () => {
    const failed = expectDtlsError(
      objects.webRtcTransport,
      'certificate-rejected',
      /^the peer rejected our certificate.* \(alert \d+, \w+\)$/,
    );
    const wrong = `sha-256 ${SOME_FINGERPRINTS[0]!.value}`;
    await dial(role, { alter: (sdp) => sdp.replace(/sha-256 \S+/, wrong) });
    await failed;
  });

  test("with an RSA certificate: 'certificate-unsupported'", async () => {
    const failed = expectDtlsError(
      objects.webRtcTransport,
      'certificate-unsupported',
      /certificate.* ECDSA on P-256 or P-384/,
    );
    await dial(role, { config: RSA });
    await failed;
  });
});

test("both sides are the DTLS client: 'role-conflict'", async () => {
  const failed = expectDtlsError(
    objects.webRtcTransport,
    'role-conflict',
    /both sides are the DTLS client/,
  );
  await dial('client', { dtlsParameters: { role: 'server' } });
  await failed;
});

test("the client sends a message over maxReceiveMessageSize: 'message-too-large'", async () => {
  const transport = objects.webRtcTransport;
  const peer = await peers.connect(transport, {
    channels: CHANNELS,
    config: { maxMessageSize: 1_000_000 },
    alter: (sdp) => sdp.replace(/max-message-size:\d+/, 'max-message-size:1000000'),
  });
  const ended = nextFinal(transport, 'sctpstatechange');
  await peer.send(1, Buffer.alloc(300_000));
  const error = {
    code: 'message-too-large',
    message: 'the peer sent a message over the maximum of 262144 bytes',
  };
  expect(await ended).toEqual(['closed', error]);
  expect(transport.sctpError).toEqual(error);
});

test("the client closes its connection: 'peer-closed'", async () => {
  const transport = objects.webRtcTransport;
  const peer = await peers.connect(transport, { channels: CHANNELS });
  const recorder = new EventRecorder().watch({ transport });
  const ended = nextEvent(transport.observer, 'sctpstatechange');
  await peer.close();
  await ended;
  // libdatachannel sends a SHUTDOWN or an ABORT.
  const error = {
    code: 'peer-closed',
    message: expect.stringMatching(/^the peer (shut the association down|aborted the association)/),
  } as const;
  expect(transport.sctpError).toEqual(error);
  expect(recorder.take().slice(0, 2)).toEqual(
    ends('transport', 'sctpstatechange', 'closed', transport.sctpError),
  );
  // An application that changes its copy does not affect others.
  transport.sctpError!.message = 'changed';
  expect(transport.sctpError).toEqual(error);
});

test("the client disappears: 'consent-expired'", async () => {
  const doomed = new WebRtcPeers();
  const { webRtcTransport: transport } = await arrange({ iceConsentTimeout: 10 }, objects.worker);
  await doomed.connect(transport, { channels: CHANNELS });
  const ended = [transport, transport.observer].map((it) => nextFinal(it, 'icestatechange'));
  await doomed.kill();
  const error = {
    code: 'consent-expired',
    message: 'no valid STUN request of the peer arrived for 10 s',
  };
  expect(await Promise.all(ended)).toEqual([
    ['disconnected', error],
    ['disconnected', error],
  ]);
  expect(transport.iceError).toEqual(error);
  expect(transport).toMatchObject({ dtlsState: 'connected', sctpState: 'connected' });
}, 60_000);

test("the client is gone, and another one has its port: 'path-taken'", async () => {
  const port = await freePort();
  const config = { portRangeBegin: port, portRangeEnd: port };
  const webRtcServer = await objects.worker.createWebRtcServer({ listenInfos: LOOPBACK });
  const create = (): Promise<types.WebRtcTransport> =>
    objects.router.createWebRtcTransport({ webRtcServer, enableSctp: true });
  const [lost, other] = [await create(), await create()];
  const doomed = new WebRtcPeers();
  await doomed.connect(lost, { channels: CHANNELS, config });
  await doomed.kill();
  await peers.connect(other, { channels: CHANNELS, config });
  await untilState(lost, 'iceState', 'disconnected');
  const error = {
    code: 'path-taken',
    message: "the peer's address belongs to another transport now",
  };
  expect(lost.iceError).toEqual(error);
  expect((await lost.diagnose()).findings[0]).toMatchObject(error);
  expect(other.iceError).toBeUndefined();
}, 60_000);

test('without a failure there is no error, also after close()', async () => {
  const transport = objects.webRtcTransport;
  const recorder = new EventRecorder().watch({ transport });
  await peers.connect(transport, { channels: CHANNELS });
  expect(recorder.take().filter((line) => line.includes('{"code"'))).toEqual([]);
  transport.close();
  expect(transport).toMatchObject({
    iceState: 'closed',
    iceError: undefined,
    dtlsError: undefined,
    sctpError: undefined,
  });
});
