// What the page remembers. Storage can be forbidden; the page works without.

/** @typedef {'localStorage' | 'sessionStorage'} Kind The second is for this tab alone. */

/** @param {Kind} storage */
export function recall(storage, key) {
  try {
    return window[storage].getItem(`datasoup-demo-${key}`);
  } catch {
    return null;
  }
}

/** @param {Kind} storage */
export function remember(storage, key, value) {
  try {
    window[storage].setItem(`datasoup-demo-${key}`, value);
  } catch {
    // Then it is asked again next time.
  }
}
