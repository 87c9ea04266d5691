// Light or dark: the system's setting, until the user presses the button.

import { recall, remember } from './storage.js';

export function setUpTheme(button) {
  const root = document.documentElement;
  const system = matchMedia('(prefers-color-scheme: dark)');
  const current = () => root.dataset.theme ?? (system.matches ? 'dark' : 'light');

  const chosen = recall('localStorage', 'theme');
  if (chosen) root.dataset.theme = chosen;

  button.addEventListener('click', () => {
    root.dataset.theme = current() === 'dark' ? 'light' : 'dark';
    remember('localStorage', 'theme', root.dataset.theme);
  });
}
