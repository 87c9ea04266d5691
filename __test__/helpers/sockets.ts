import * as dgram from 'node:dgram';
import { once } from 'node:events';

/** A UDP socket bound to `ip` and `port` (0: any). */
export async function udpSocket(ip = '127.0.0.1', port = 0): Promise<dgram.Socket> {
  const socket = dgram.createSocket(ip.includes(':') ? 'udp6' : 'udp4');
  // A failed test may leave the socket open, which must not keep Jest from exiting.
  socket.unref();
  socket.bind(port, ip);
  await once(socket, 'listening');
  return socket;
}

export async function closeSocket(socket: dgram.Socket): Promise<void> {
  const closed = once(socket, 'close');
  socket.close();
  await closed;
}

/** A UDP port that was free a moment ago. */
export async function freePort(ip = '127.0.0.1'): Promise<number> {
  const socket = await udpSocket(ip);
  const { port } = socket.address();
  await closeSocket(socket);
  return port;
}

/** Whether `port` of `ip` is free. */
export async function canBind(ip: string, port: number): Promise<boolean> {
  try {
    await closeSocket(await udpSocket(ip, port));
    return true;
  } catch {
    return false;
  }
}
