import type * as dgram from 'node:dgram';
import type { types } from '../..';
import { closeSocket, udpSocket } from './sockets';

/** A UDP transport with one remote address. */
type UdpTransport = types.PlainTransport | types.PipeTransport;

/** A path between two transports that can be cut. Neither end can notice that except by the other's silence. */
export class Cable {
  /** If true, every datagram is lost. */
  cut = false;
  /** Gets every datagram that comes in. */
  tap: (datagram: Buffer) => void = () => {};
  readonly #sockets: [dgram.Socket, dgram.Socket];

  /** Connects both transports, through the cable. With DTLS `a` is the client. `oneWay`: nothing from `b` arrives. */
  static async between(a: UdpTransport, b: UdpTransport, oneWay = false): Promise<Cable> {
    const sockets = [await udpSocket(), await udpSocket()] as [dgram.Socket, dgram.Socket];
    const cable = new Cable(sockets, [a, b], oneWay);
    const [toB, toA] = [dtlsParametersOf(b, 'server'), dtlsParametersOf(a, 'client')];
    await a.connect({ ip: '127.0.0.1', port: sockets[0].address().port, ...toB });
    await b.connect({ ip: '127.0.0.1', port: sockets[1].address().port, ...toA });
    return cable;
  }

  private constructor(
    sockets: [dgram.Socket, dgram.Socket],
    ends: UdpTransport[],
    oneWay: boolean,
  ) {
    this.#sockets = sockets;
    sockets.forEach((socket, from) => {
      const to = 1 - from;
      socket.on('message', (datagram) => {
        this.tap(datagram);
        if (!this.cut && !(oneWay && from === 1)) {
          sockets[to]!.send(datagram, ends[to]!.tuple.localPort, '127.0.0.1');
        }
      });
    });
  }

  async close(): Promise<void> {
    await Promise.all(this.#sockets.map(closeSocket));
  }
}

function dtlsParametersOf(
  transport: UdpTransport,
  role: types.DtlsRole,
): { dtlsParameters?: types.DtlsParameters } {
  const dtlsParameters = transport.type === 'pipe' ? transport.dtlsParameters : undefined;
  return dtlsParameters ? { dtlsParameters: { ...dtlsParameters, role } } : {};
}
