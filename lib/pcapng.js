'use strict';

const { Buffer } = require('node:buffer');

/**
 * Blocks of a pcapng file (draft-ietf-opsawg-pcapng), in little endian, with one interface: SCTP packets without the
 * layers below, in microseconds since 1970.
 */

/** LINKTYPE_SCTP. */
const LINK_TYPE = 248;

const SECTION_HEADER = 0x0a0d0d0a;
const INTERFACE_DESCRIPTION = 1;
const INTERFACE_STATISTICS = 5;
const ENHANCED_PACKET = 6;

/** Options (§3.5, §4). */
const SHB_USERAPPL = 4;
const IF_NAME = 2;
const EPB_FLAGS = 2;
const ISB_STARTTIME = 2;
const ISB_ENDTIME = 3;
const ISB_IFRECV = 4;
const ISB_IFDROP = 5;

const INBOUND = 1;
const OUTBOUND = 2;

/** @param {...number} values */
function u32(...values) {
  const bytes = Buffer.alloc(4 * values.length);

  values.forEach((value, index) => bytes.writeUInt32LE(value, 4 * index));
  return bytes;
}

/**
 * Encodes a timestamp as pcapng does: two words of 32 bits, the high one first.
 * @param {bigint} value
 */
function timestamp(value) {
  return u32(Number(value >> 32n), Number(value & 0xffff_ffffn));
}

/** @param {number} value */
function u64(value) {
  const bytes = Buffer.alloc(8);

  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
}

/** @param {Buffer} bytes */
function padded(bytes) {
  return Buffer.concat([bytes, Buffer.alloc(-bytes.length & 3)]);
}

/**
 * @param {number} code
 * @param {Buffer} value
 */
function option(code, value) {
  const header = Buffer.alloc(4);

  header.writeUInt16LE(code, 0);
  header.writeUInt16LE(value.length, 2);
  return Buffer.concat([header, padded(value)]);
}

/**
 * @param {number} type
 * @param {Buffer[]} parts
 * @param {Buffer[]} options
 */
function block(type, parts, options) {
  const body = [...parts, ...options, u32(0)];
  const length = u32(body.reduce((sum, part) => sum + part.length, 12));

  return Buffer.concat([u32(type), length, ...body, length]);
}

/**
 * The beginning of a file.
 *
 * @param {string} application - its name and version.
 * @param {string} name - of the interface.
 */
function beginning(application, name) {
  // The byte-order magic, version 1.0, and an unknown length of the section.
  const section = [u32(0x1a2b3c4d, 1, 0xffffffff, 0xffffffff)];

  return Buffer.concat([
    block(SECTION_HEADER, section, [option(SHB_USERAPPL, Buffer.from(application))]),
    // No limit on the length of a packet.
    block(INTERFACE_DESCRIPTION, [u32(LINK_TYPE, 0)], [option(IF_NAME, Buffer.from(name))]),
  ]);
}

/**
 * The block of one packet.
 *
 * @param {bigint} time
 * @param {boolean} outbound
 * @param {Buffer} bytes
 */
function packet(time, outbound, bytes) {
  return block(
    ENHANCED_PACKET,
    [u32(0), timestamp(time), u32(bytes.length, bytes.length), padded(bytes)],
    [option(EPB_FLAGS, u32(outbound ? OUTBOUND : INBOUND))],
  );
}

/**
 * The end of a file.
 *
 * @param {object} statistics
 * @param {bigint} statistics.start
 * @param {bigint} statistics.end
 * @param {number} statistics.received - packets, the dropped ones included.
 * @param {number} statistics.dropped
 */
function statistics({ start, end, received, dropped }) {
  return block(
    INTERFACE_STATISTICS,
    [u32(0), timestamp(end)],
    [
      option(ISB_STARTTIME, timestamp(start)),
      option(ISB_ENDTIME, timestamp(end)),
      option(ISB_IFRECV, u64(received)),
      option(ISB_IFDROP, u64(dropped)),
    ],
  );
}

exports.beginning = beginning;
exports.packet = packet;
exports.statistics = statistics;
