/// <reference lib="dom" />

import type { Browser, BrowserContext, Page } from 'playwright-core';

import { type Server, startServer } from '../helpers/server';
import { violations } from './axe';
import { launchChromium } from './chromium';
import { Guests } from './guests';
import { Tab } from './tab';

/** What the demo's page looks like in small and large windows, and to screen readers. */

const PHONE = { width: 390, height: 844 };
const LAPTOP = { width: 1280, height: 800 };

const guests = new Guests();
const DEMO = 'demo/server.js';

let server: Server;
let browser: Browser;
let context: BrowserContext;
let rooms = 0;

beforeAll(async () => {
  [server, browser] = await Promise.all([startServer(DEMO), launchChromium()]);
});

afterEach(async () => {
  guests.leave();
  await context?.close();
  expect(server.stderr()).toBe('');
});

afterAll(async () => {
  await browser?.close();
  await server?.stop();
});

/** Opens the demo in a room with `people` people in all. */
async function join(
  viewport: typeof PHONE,
  { people = 1, theme = 'light' as 'light' | 'dark' } = {},
): Promise<Tab> {
  // No motion, so that everything is in place at once; no content security policy, so that axe can run.
  context = await browser.newContext({
    viewport,
    colorScheme: theme,
    reducedMotion: 'reduce',
    bypassCSP: true,
  });
  rooms += 1;
  await guests.join(server.url, `room-${rooms}`, people - 1);
  const tab = await Tab.join(context, server.url, { name: 'Coriander', room: `room-${rooms}` });
  await tab.value('rtt').filter({ hasText: /^\d/ }).waitFor({ state: 'attached' });

  return tab;
}

/** The elements whose content is wider than they are, or that are not wholly in the window. */
function overflowing(page: Page): Promise<string[]> {
  return page.evaluate(() => {
    const found: string[] = [];
    for (const element of document.querySelectorAll<HTMLElement>('body, body *')) {
      // Inline elements have no width of their own; an ellipsis shows that text was cut off.
      const { clientWidth, scrollWidth } = element;
      if (clientWidth === 0 || !element.checkVisibility()) continue;
      if (getComputedStyle(element).textOverflow === 'ellipsis' || element.closest('.crowded'))
        continue;

      const { left, right } = element.getBoundingClientRect();
      const name = `${element.tagName} #${element.id} .${element.className}`;
      if (scrollWidth > clientWidth) found.push(`${name}: ${scrollWidth} > ${clientWidth}`);
      if (left < 0 || right > innerWidth) found.push(`${name}: from ${left} to ${right}`);
    }
    return found;
  });
}

/** The badges and names at the table that cover each other. */
function covered(page: Page): Promise<string[]> {
  return page.evaluate(() => {
    const boxes = [
      ...document.querySelectorAll(
        '#seats .badge, #seats .seat:not(.crowded) .label, .hint, .legend',
      ),
    ].map((element) => ({
      text: `${element.className} ${element.textContent}`,
      box: element.getBoundingClientRect(),
    }));
    return boxes.flatMap(({ text, box }, index) =>
      boxes
        .slice(index + 1)
        .filter(({ box: other, text: name }) => {
          // Badges are round.
          const [x, y] = [box.x - other.x, box.y - other.y];
          if (text.startsWith('badge') && name.startsWith('badge'))
            return Math.hypot(x, y) < box.width;
          return (
            box.left < other.right &&
            other.left < box.right &&
            box.top < other.bottom &&
            other.top < box.bottom
          );
        })
        .map((other) => `${text} and ${other.text}`),
    );
  });
}

describe.each([
  ['a phone', PHONE],
  ['a laptop', LAPTOP],
])('on %s', (_title, viewport) => {
  describe.each(['light', 'dark'] as const)('with the %s theme', (theme) => {
    test.each([1, 8, 20])(
      'axe finds nothing, nothing overflows and nothing is covered, with %i people in the room',
      async (people) => {
        const tab = await join(viewport, { people, theme });
        await tab.say('A first sentence that is long enough to need more than a line of the chat');
        await tab.say('/help');
        await tab.message('Ladle', 'I know these commands').waitFor();

        for (const view of viewport === PHONE ? ['Chat', 'Live'] : ['']) {
          if (view) await tab.page.getByRole('button', { name: view }).click();
          expect(await violations(tab.page)).toEqual([]);
          expect(await overflowing(tab.page)).toEqual([]);
        }
        expect(await covered(tab.page)).toEqual([]);
        expect(await tab.page.locator('.seat').count()).toBe(people + 1);
      },
    );
  });
});

test.each([320, 390, 860, 861, 1240, 1241, 1280, 1360, 1440])(
  'long figures and states stay in their cards, in a window of %i pixels',
  async (width) => {
    const tab = await join({ width, height: 800 });
    if (width <= 860) await tab.page.getByRole('button', { name: 'Live' }).click();

    // The page writes the figures once per second: these are measured before it does.
    const wide = await tab.page.evaluate(() => {
      for (const name of ['rtt', 'rtt-min', 'rtt-median', 'rtt-max', 'in', 'out']) {
        document.querySelector(`[data-value="${name}"]`)!.textContent = '2999';
      }
      for (const state of document.querySelectorAll('[data-state]')) {
        state.textContent = 'disconnected';
      }
      return [...document.querySelectorAll('.card, .card *')]
        .filter(
          (element) =>
            (element.clientWidth > 0 &&
              element.scrollWidth > element.clientWidth &&
              getComputedStyle(element).textOverflow !== 'ellipsis') ||
            (element.matches('.card') && element.scrollHeight > element.clientHeight),
        )
        .map((element) => element.outerHTML);
    });

    expect(wide).toEqual([]);
  },
);

test.each([PHONE, LAPTOP])(
  'the round trips are in one line, in a window of $width pixels',
  async (viewport) => {
    const tab = await join(viewport);
    if (viewport === PHONE) await tab.page.getByRole('button', { name: 'Live' }).click();

    const lines = await tab.page.evaluate(() => {
      for (const name of ['rtt-min', 'rtt-median', 'rtt-max']) {
        document.querySelector(`[data-value="${name}"]`)!.textContent = '999';
      }
      return new Set(
        [...document.querySelectorAll<HTMLElement>('.inline div')].map(
          ({ offsetTop }) => offsetTop,
        ),
      ).size;
    });

    expect(lines).toBe(1);
  },
);

test.each(['light', 'dark'] as const)(
  'axe finds nothing in the dialog, nor while the server is down, with the %s theme',
  async (theme) => {
    const other = await startServer(DEMO);
    const home = server;
    server = other;
    try {
      const tab = await join(PHONE, { theme });
      await other.stop();
      await tab.page.getByText('The connection is lost').waitFor();
      expect(await violations(tab.page)).toEqual([]);
      expect(await overflowing(tab.page)).toEqual([]);
    } finally {
      server = home;
    }

    const page = await context.newPage();
    await page.goto(server.url);
    await page.getByRole('dialog').waitFor();
    expect(await violations(page)).toEqual([]);
    expect(await overflowing(page)).toEqual([]);
  },
);

test.each(['light', 'dark'] as const)(
  'the colours of people have a contrast of at least 4.5 with the %s theme',
  async (theme) => {
    const { page } = await join(LAPTOP, { theme });

    const least = await page.evaluate(() => {
      const context = document.createElement('canvas').getContext('2d')!;
      const style = getComputedStyle(document.querySelector('#drops')!);
      const read = (name: string) => style.getPropertyValue(name);
      const luminance = (colour: string) => {
        context.fillStyle = colour;
        context.fillRect(0, 0, 1, 1);
        const [red = 0, green = 0, blue = 0] = [...context.getImageData(0, 0, 1, 1).data]
          .map((part) => part / 255)
          .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
      };
      const surface = luminance(read('--surface'));
      // WCAG 2.2, "contrast ratio".
      const ratios = Array.from({ length: 360 }, (_, hue) => {
        const colour = `oklch(${read('--peer-light')} ${read('--peer-chroma')} ${hue})`;
        const [dark = 0, light = 0] = [surface, luminance(colour)].sort((a, b) => a - b);
        return (light + 0.05) / (dark + 0.05);
      });
      return Math.min(...ratios);
    });

    expect(least).toBeGreaterThanOrEqual(4.5);
  },
);

test('a name has room at the table, or is left out of sight', async () => {
  const tab = await join(PHONE, { people: 20 });
  const shown = () => tab.page.locator('.seat:not(.crowded) b').allTextContents();

  expect(await shown()).toEqual(expect.arrayContaining(['Coriander', 'Ladle']));
  expect(await tab.page.locator('.crowded').count()).toBeGreaterThan(0);
  expect(await tab.page.getByRole('listitem').filter({ hasText: 'Guest no. 19' }).count()).toBe(1);

  await tab.page.setViewportSize({ width: 1920, height: 1200 });
  await tab.page.waitForFunction(() => !document.querySelector('.crowded'));
  expect((await shown()).length).toBe(21);
});

describe('the chat', () => {
  /** How far the end of the messages is below the visible part. */
  const below = (tab: Tab) =>
    tab.page
      .locator('#messages')
      .evaluate(({ scrollHeight, scrollTop, clientHeight }) =>
        Math.round(scrollHeight - scrollTop - clientHeight),
      );
  /** Resizes the window, and waits until the page has drawn itself twice. */
  const resize = async (tab: Tab, width: number, height: number) => {
    await tab.page.setViewportSize({ width, height });
    await tab.page.evaluate(
      () => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))),
    );
  };

  test('stays at its end when the window, or the view, changes', async () => {
    const tab = await join(PHONE);
    for (let line = 0; line < 30; line += 1) await tab.say(`Line ${line} of a long conversation`);
    expect(await below(tab)).toBeLessThanOrEqual(1);

    // A phone's keyboard opens and closes; then the phone is turned.
    for (const [width, height] of [
      [390, 500],
      [390, 844],
      [844, 390],
      [320, 640],
    ] as const) {
      await resize(tab, width, height);
      expect([width, height, (await below(tab)) <= 1]).toEqual([width, height, true]);
    }

    await tab.page.getByRole('button', { name: 'Live' }).click();
    await tab.page.getByRole('button', { name: 'Chat' }).click();
    await resize(tab, 390, 844);
    expect(await below(tab)).toBeLessThanOrEqual(1);
  });

  test('keeps the place of a user who has scrolled up', async () => {
    const tab = await join(PHONE);
    for (let line = 0; line < 30; line += 1) await tab.say(`Line ${line} of a long conversation`);
    // The page gets the 'scroll' event one frame later.
    await tab.page.locator('#messages').evaluate(async (list) => {
      const scrolled = new Promise((resolve) =>
        list.addEventListener('scroll', resolve, { once: true }),
      );
      list.scrollTop = 0;
      await scrolled;
    });
    await resize(tab, 390, 700);
    expect(await tab.page.locator('#messages').evaluate((list) => list.scrollTop)).toBe(0);
  });
});
