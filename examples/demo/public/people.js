// Names: who may be here, and what to be called if nothing comes to mind.

const SPICES = [
  'Anise', 'Basil', 'Caraway', 'Chili', 'Clove', 'Coriander', 'Cumin', 'Dill', 'Fennel', 'Ginger',
  'Juniper', 'Laurel', 'Mace', 'Nutmeg', 'Oregano', 'Paprika', 'Pepper', 'Rosemary', 'Saffron',
  'Sage', 'Sesame', 'Sumac', 'Tarragon', 'Thyme',
];

export function suggestName() {
  return SPICES[Math.floor(Math.random() * SPICES.length)];
}

/** The room that the address names: #room or ?room=. */
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
