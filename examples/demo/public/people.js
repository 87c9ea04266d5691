// Suggests names for the room and for the user.

import { recall, remember } from './storage.js';

const NAME = 'name';

const SPICES = (
  'Anise Basil Caraway Chili Clove Coriander Cumin Dill Fennel Ginger Juniper Laurel Mace ' +
  'Nutmeg Oregano Paprika Pepper Rosemary Saffron Sage Sesame Sumac Tarragon Thyme'
).split(' ');

/** The name in this tab before a reload, or a random one. */
export function suggestName() {
  return recall('sessionStorage', NAME) ?? SPICES[Math.floor(Math.random() * SPICES.length)];
}

export function rememberName(name) {
  remember('sessionStorage', NAME, name);
}

/** The room in the address: #room or ?room=. */
export function roomFromAddress({ hash, search }) {
  return decode(hash.slice(1)) || new URLSearchParams(search).get('room') || 'kitchen';
}

function decode(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return '';
  }
}
