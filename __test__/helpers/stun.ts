import { createHmac, randomBytes } from 'node:crypto';

/** The part of STUN (RFC 8489) that tests need for valid and invalid requests to an ICE-Lite agent. */

const MAGIC_COOKIE = 0x2112_a442;

/** The type of a Binding success response. */
export const SUCCESS = 0x0101;

/** A STUN attribute (RFC 8489 §14), padded. */
export function attribute(type: number, value: Buffer): Buffer {
  const header = Buffer.alloc(4);
  header.writeUInt16BE(type, 0);
  header.writeUInt16BE(value.length, 2);
  return Buffer.concat([header, value, Buffer.alloc((4 - (value.length % 4)) % 4)]);
}

/** A STUN message; `length` overrides the length in the header. */
export function stun(type: number, attributes: Buffer[], length?: number): Buffer {
  const body = Buffer.concat(attributes);
  const header = Buffer.alloc(20);
  header.writeUInt16BE(type, 0);
  header.writeUInt16BE(length ?? body.length, 2);
  header.writeUInt32BE(MAGIC_COOKIE, 4);
  randomBytes(12).copy(header, 8);
  return Buffer.concat([header, body]);
}

/** A Binding request with a MESSAGE-INTEGRITY made with `password`. `role`: ICE-CONTROLLING or -CONTROLLED (0x8029). */
export function bindingRequest(username: string, password: string, role = 0x802a): Buffer {
  const attributes = [
    attribute(0x0006, Buffer.from(username)),
    attribute(0x0024, Buffer.from([0, 0, 1, 0])),
    attribute(0x0025, Buffer.alloc(0)),
    attribute(role, randomBytes(8)),
  ];
  const length = Buffer.concat(attributes).length + 24;
  const signed = stun(0x0001, attributes, length);
  const mac = createHmac('sha1', password).update(signed).digest();
  return Buffer.concat([signed, attribute(0x0008, mac)]);
}
