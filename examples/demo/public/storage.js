// What the page remembers. Storage can be forbidden; the page works without.

/** `storage`: 'localStorage', or 'sessionStorage' for this tab alone. */
export function recall(storage, key) {
  try {
    return window[storage].getItem(`datasoup-demo-${key}`);
  } catch {
    return null;
  }
}

export function remember(storage, key, value) {
  try {
    window[storage].setItem(`datasoup-demo-${key}`, value);
  } catch {
    // Then it is asked again next time.
  }
}
