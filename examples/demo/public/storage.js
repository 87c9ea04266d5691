// Storage of the page's settings. The browser may forbid it; the page works without.

/** @typedef {'localStorage' | 'sessionStorage'} Kind The second is per tab. */

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
    // The page works without the value.
  }
}
