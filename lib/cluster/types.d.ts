// What the files of this folder exchange: control messages, and the ports of the protocol, which are passed in.

/** A DataProducer in the list of its host. */
export type Entry = {
  id: string;
  label: string;
  protocol: string;
  /** JSON. */
  info: string;
};

/** How a message stream goes through a pipe, and what the far DataProducer needs to know. */
export type Stream = {
  streamId: number;
  ordered: boolean;
  maxPacketLifeTime?: number;
  maxRetransmits?: number;
  paused: boolean;
  retain?: { messages: number; bytes?: number; maxAge?: number };
};

export type Address = { address: string; port: number; fingerprint: string };

/** The messages to carry: all, or those of these subchannels and those without. */
export type Subchannels = true | number[];

export type State = { type: 'state'; seq: number; ask?: string };
export type Diff = { type: 'diff'; from: number; seq: number; add: Entry[]; del: string[] };
export type Leave = { type: 'leave' };
export type Beat = { type: 'beat' | 'bye' };
export type List = {
  type: 'list';
  id?: string;
  to?: string;
  re?: string;
  room?: string;
  gone?: boolean;
  seq?: number;
  part?: number;
  parts?: number;
  list?: Entry[];
};
export type PipeRequest = { type: 'pipe'; id: string; to: string; pipe: number } & Address;
export type PipeAnswer = { type: 'piped'; re: string; error?: string } & Partial<Address>;
export type Want = {
  type: 'want';
  id: string;
  to: string;
  pipe: number;
  gen: number;
  items: [id: string, subchannels: Subchannels | null][];
};
export type Given = {
  type: 'given';
  re: string;
  error?: string;
  items?: [id: string, stream: Stream | null, at?: number][];
};
export type Message = State | Diff | Leave | Beat | List | PipeRequest | PipeAnswer | Want | Given;

export interface Bus {
  publish(subject: string, data: Uint8Array): void;
  subscribe(subject: string, listener: (data: Uint8Array) => void): Promise<AsyncDisposable>;
  readonly maxPayload: number;
}
