// Light or dark: as the system says, until the button says otherwise.

const KEY = 'datasoup-demo-theme';

export function setUpTheme(button) {
  const system = matchMedia('(prefers-color-scheme: dark)');
  const current = () => document.documentElement.dataset.theme ?? (system.matches ? 'dark' : 'light');

  const chosen = recall();
  if (chosen) document.documentElement.dataset.theme = chosen;

  button.addEventListener('click', () => {
    const theme = current() === 'dark' ? 'light' : 'dark';
    document.documentElement.dataset.theme = theme;
    remember(theme);
  });
}

// Storage can be forbidden; the page works without.
function recall() {
  try {
    return localStorage.getItem(KEY);
  } catch {
    return null;
  }
}

function remember(theme) {
  try {
    localStorage.setItem(KEY, theme);
  } catch {
    // Then it is asked again next time.
  }
}
