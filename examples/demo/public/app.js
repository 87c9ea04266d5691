// The page: asks for a name, joins a room, and connects the session with the parts of the page.

import { Chat } from './chat.js';
import { Cursors } from './cursors.js';
import { Panel } from './panel.js';
import { rememberName, roomFromAddress, suggestName } from './people.js';
import { Session } from './session.js';
import { Stage } from './stage.js';
import { setUpTheme } from './theme.js';

const RETRY_MS = [500, 1000, 2000, 5000];
/** How many badges the header has room for, in a wide window and on a phone. */
const BADGES = { wide: 8, narrow: 3 };

const element = (id) => document.getElementById(id);

/** id → { id, name, hue, role } of all people in the room, including this one and the bot. */
const people = new Map();
let session;
let you;

const stage = new Stage({
  bowl: element('bowl'),
  drops: element('drops'),
  seats: element('seats'),
  texts: document.querySelectorAll('.hint, .legend'),
});
const chat = new Chat({ list: element('messages'), form: element('composer'), onsay: say });
const cursors = new Cursors({
  stage: element('stage'),
  layer: element('cursors'),
  send: (message) => session?.send('cursor', message) ?? false,
  onripple: (peer, x, y) => stage.ripple(x, y, (peer ?? you)?.hue),
});
const panel = new Panel(element('panel'), {
  ping: (message) => session?.send('ping', message) ?? false,
  lostCursors: () => cursors.lost,
  bufferedAmount: () => session?.bufferedAmount ?? 0,
  onsilence: (silent) => setStatus(silent ? 'The server does not answer. Waiting…' : ''),
});

function say(text) {
  if (!session?.send('chat', { text })) return false;

  chat.add(you, text, { own: true });

  return true;
}

const handlers = {
  joined({ room, you: self, bot, peers }) {
    you = { ...self, role: 'you' };
    for (const id of [...people.keys()]) cursors.remove(id);
    people.clear();
    for (const person of [you, { ...bot, role: 'bot' }]) people.set(person.id, person);
    for (const peer of peers) people.set(peer.id, { ...peer, role: 'peer' });
    element('room').textContent = room;
    element('composer').style.setProperty('--hue', you.hue);
    panel.reset('new');
    showPeople();
  },

  peerJoined(peer) {
    people.set(peer.id, { ...peer, role: 'peer' });
    chat.note(`${peer.name} sat down`);
    showPeople();
  },

  peerLeft(peerId, reason) {
    const peer = people.get(peerId);
    if (!peer) return;

    people.delete(peerId);
    cursors.remove(peerId);
    chat.note(reason === 'left' ? `${peer.name} left` : `${peer.name} left (${reason})`);
    showPeople();
  },

  sent(label) {
    panel.countOut();
    stage.show(label, you.id, receiversOf(label, you.id));
  },

  message(label, peerId, message) {
    panel.countIn();
    const peer = people.get(peerId);
    if (!peer) return;

    const alone = label === 'telemetry' || message.whisper === true;
    stage.show(label, peerId, alone ? [you.id] : receiversOf(label, peerId));
    if (label === 'chat') chat.add(peer, message.text, { whisper: message.whisper === true });
    if (label === 'cursor') cursors.receive(peer, message);
    // Only the bot sends on this channel.
    if (label === 'telemetry') panel.receive(message);
  },

  states: (direction, states) => panel.setStates(direction, states),

  diagnosis(direction, findings) {
    const [first] = findings;
    const what = direction === 'send' ? 'sending' : 'receiving';
    setStatus(
      first ? `The connection for ${what} takes long: ${first.message}. ${first.hint}.` : '',
    );
  },

  closed: () => {},
};

/** The receivers of a message: the bot for pings, people for cursors, all for chat. */
function receiversOf(label, from) {
  if (label === 'ping') return ['bot'];

  return [...people.keys()].filter((id) => id !== from && (id !== 'bot' || label === 'chat'));
}

function showPeople() {
  stage.setPeople([...people.values()]);
  const names = [...people.values()].filter(({ role }) => role !== 'bot');
  element('people').replaceChildren(
    ...names.map(({ id, name, hue }) => {
      const item = document.createElement('li');
      item.dataset.peer = id;
      item.style.setProperty('--hue', hue);
      item.textContent = [...name][0].toUpperCase();
      item.title = name;
      return item;
    }),
  );
  for (const [width, shown] of Object.entries(BADGES)) {
    element('people').dataset[width] = names.length > shown ? `+${names.length - shown}` : '';
  }
  element('count').textContent = names.length === 1 ? 'just you' : `${names.length} people`;
}

/** Stays in the room, and joins again when the connection is lost. Throws if the first attempt fails. */
async function stay(room, name, onentered) {
  const url = `${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}/`;
  let entered = false;

  for (let attempt = 0; ; attempt += 1) {
    try {
      const closed = new Promise((resolve) => (handlers.closed = () => resolve(undefined)));
      session = await Session.join({ url, room, name, handlers });
      if (!entered) onentered();
      entered = true;
      attempt = 0;
      setStatus('');
      await closed;
    } catch (error) {
      // Show the user why the first attempt failed. Later attempts are repeated.
      if (!entered) throw error;
    }

    session = undefined;
    panel.reset('closed');
    setStatus('The connection is lost. Reconnecting…');
    await new Promise((resolve) =>
      setTimeout(resolve, RETRY_MS[Math.min(attempt, RETRY_MS.length - 1)]),
    );
  }
}

function setStatus(text) {
  element('status').textContent = text;
  element('status').hidden = text === '';
}

function setUpJoin() {
  const dialog = /** @type {HTMLDialogElement} */ (element('join'));
  /** @type {Record<string, any>} */
  const elements = dialog.querySelector('form').elements;
  elements.name.value = suggestName();
  elements.room.value = roomFromAddress(location);
  dialog.addEventListener('cancel', (event) => event.preventDefault());
  dialog.addEventListener('submit', async (event) => {
    event.preventDefault();
    const name = elements.name.value.trim();
    const room = elements.room.value.trim().toLowerCase();
    rememberName(name);
    element('join-error').textContent = '';
    elements.enter.disabled = true;
    // Put the room into the address, so that the user can share it.
    history.replaceState(null, '', `${location.pathname}#${encodeURIComponent(room)}`);
    try {
      await stay(room, name, () => {
        dialog.close();
        chat.focus();
      });
    } catch (error) {
      element('join-error').textContent = error.message;
      elements.enter.disabled = false;
    }
  });
  dialog.showModal();
  elements.name.select();
}

function setUpLink(button) {
  button.addEventListener('click', async () => {
    try {
      await navigator.clipboard.writeText(location.href);
      button.dataset.done = 'Copied';
    } catch {
      // No clipboard without HTTPS or permission: the address bar has the link.
      button.dataset.done = 'See the address bar';
    }
    setTimeout(() => delete button.dataset.done, 1600);
  });
}

/** On a small screen, tabs select chat or panel. */
function setUpTabs(bar) {
  bar.addEventListener('click', ({ target }) => {
    const { view } = target.dataset;
    if (!view) return;

    document.body.dataset.view = view;
    for (const tab of bar.querySelectorAll('[data-view]')) {
      tab.setAttribute('aria-pressed', String(tab === target));
    }
  });
}

setUpTheme(element('theme'));
setUpLink(element('link'));
setUpTabs(element('tabs'));
setUpJoin();
