/// <reference lib="dom" />

import type { Page } from 'playwright-core';
import type { types } from '../..';
import { answerOf, dtlsParametersOf } from '../../examples/sdp';
import { LOOPBACK, SOME_FINGERPRINTS } from '../helpers/arrangement';
import { router } from '../helpers/router';
import { until, untilState } from '../helpers/wait';
import { BrowserClient } from './client';
import { openPage } from './emptyPage';

/** Why a connection with Chromium failed or ended. */

const transportOf = (): Promise<types.WebRtcTransport> =>
  router.createWebRtcTransport({ listenInfos: LOOPBACK, enableSctp: true });

/** Makes a connection in the page, with an RSA certificate if `rsa`; resolves with its offer. */
async function offerOf(page: Page, rsa: boolean): Promise<string> {
  return page.evaluate(async (wantsRsa) => {
    const algorithm = {
      name: 'RSASSA-PKCS1-v1_5',
      hash: 'SHA-256',
      modulusLength: 2048,
      publicExponent: new Uint8Array([1, 0, 1]),
    };
    const certificates = wantsRsa ? [await RTCPeerConnection.generateCertificate(algorithm)] : [];
    const made = new RTCPeerConnection(wantsRsa ? { certificates } : {});
    Object.assign(globalThis, { connection: made });
    made.createDataChannel('any');
    await made.setLocalDescription();
    return made.localDescription!.sdp;
  }, rsa);
}

async function answer(page: Page, sdp: string): Promise<void> {
  await page.evaluate(
    (text) => (globalThis as any).connection.setRemoteDescription({ type: 'answer', sdp: text }),
    sdp,
  );
}

describe.each(['client', 'server'] as const)('Chromium as the DTLS %s', (role) => {
  test("with an RSA certificate: 'certificate-unsupported'", async () => {
    const [page, transport] = [await openPage(), await transportOf()];
    const offer = await offerOf(page, true);
    await transport.connect({ dtlsParameters: dtlsParametersOf(offer, role) });
    await answer(page, answerOf(transport, role));
    await untilState(transport, 'dtlsState', 'failed');
    expect(transport.dtlsError?.code).toBe('certificate-unsupported');
    expect((await transport.diagnose()).findings[0]?.code).toBe('certificate-unsupported');
  });

  test("with another certificate than announced: 'fingerprint-mismatch'", async () => {
    const [page, transport] = [await openPage(), await transportOf()];
    await offerOf(page, false);
    await transport.connect({ dtlsParameters: { role, fingerprints: SOME_FINGERPRINTS } });
    await answer(page, answerOf(transport, role));
    await untilState(transport, 'dtlsState', 'failed');
    expect(transport.dtlsError?.code).toBe('fingerprint-mismatch');
  });

  test("that has a wrong fingerprint of ours: 'certificate-rejected'", async () => {
    const [page, transport] = [await openPage(), await transportOf()];
    const offer = await offerOf(page, false);
    await transport.connect({ dtlsParameters: dtlsParametersOf(offer, role) });
    const wrong = `sha-256 ${SOME_FINGERPRINTS[0]!.value}`;
    await answer(page, answerOf(transport, role).replace(/sha-256 \S+/, wrong));
    await untilState(transport, 'dtlsState', 'failed');
    expect(transport.dtlsError?.code).toBe('certificate-rejected');
  });
});

test("Chromium closes its connection: 'peer-closed'", async () => {
  const transport = await transportOf();
  const client = await BrowserClient.connect(await openPage(), transport, [0]);
  await client.close();
  await until(transport, 'sctpstatechange', () => transport.sctpState === 'closed');
  expect(transport.sctpError?.code).toBe('peer-closed');
});

test("Chromium gets a wrong announcedAddress: diagnose() finds 'no-stun-received'", async () => {
  const page = await openPage();
  const transport = await router.createWebRtcTransport({
    listenInfos: [{ protocol: 'udp', ip: '127.0.0.1', announcedAddress: '192.0.2.1' }],
    enableSctp: true,
  });
  const offer = await offerOf(page, false);
  await transport.connect({ dtlsParameters: dtlsParametersOf(offer) });
  await answer(page, answerOf(transport));
  await page.waitForFunction(
    () => (globalThis as any).connection.iceConnectionState === 'checking',
  );
  const { findings } = await transport.diagnose();
  expect(findings.map(({ code }) => code)).toEqual(['no-stun-received']);
  expect(findings[0]!.hint).toMatch(/block UDP.*announcedAddress/);
});
