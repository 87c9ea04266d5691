/// <reference lib="dom" />

import type { BrowserContext, Locator, Page } from 'playwright-core';

/** The demo's page, driven through its visible elements. */
export class Tab {
  readonly page: Page;
  readonly name: string;
  /** Errors that the page logged or threw. */
  readonly errors: string[] = [];
  /** Every text sent or received over the WebSocket. */
  readonly signalling: string[] = [];

  static async join(
    context: BrowserContext,
    url: string,
    { name, room }: { name: string; room: string },
  ): Promise<Tab> {
    const tab = new Tab(await context.newPage(), name);
    await tab.page.goto(`${url}/#${room}`);
    await tab.page.getByLabel('Your name').fill(name);
    await tab.page.getByRole('button', { name: 'Take a seat' }).click();
    await tab.page.getByRole('dialog').waitFor({ state: 'hidden' });
    // The bot sends its welcome as soon as its channel is open.
    await tab.message('Ladle', `Welcome, ${name}!`).waitFor();

    return tab;
  }

  private constructor(page: Page, name: string) {
    this.page = page;
    this.name = name;
    page.on('console', (message) => {
      if (message.type() === 'error') this.errors.push(message.text());
    });
    page.on('pageerror', (error) => this.errors.push(String(error)));
    page.on('websocket', (socket) => {
      socket.on('framesent', ({ payload }) => this.signalling.push(String(payload)));
      socket.on('framereceived', ({ payload }) => this.signalling.push(String(payload)));
    });
  }

  async say(text: string): Promise<void> {
    const input = this.page.getByLabel('Message', { exact: true });
    await input.fill(text);
    await input.press('Enter');
  }

  /** A message in the chat, by its author and its text. */
  message(author: string, text: string | RegExp): Locator {
    return this.page
      .locator('.message')
      .filter({ has: this.page.locator('.author', { hasText: author }) })
      .filter({ hasText: text });
  }

  /** The texts of `author`'s messages in order. */
  async said(author: string): Promise<string[]> {
    return await this.page
      .locator('.message')
      .filter({ has: this.page.locator('.author', { hasText: author }) })
      .locator('p')
      .allTextContents();
  }

  note(text: string): Locator {
    return this.page.locator('.note', { hasText: text });
  }

  get cursors(): Locator {
    return this.page.locator('.cursor');
  }

  /** Waits until the cursor of `name` is within 1 % of (x, y), in fractions of the stage. */
  async cursorAt(name: string, x: number, y: number): Promise<void> {
    await this.page.waitForFunction(
      ([owner, left, top]) =>
        [...document.querySelectorAll<HTMLElement>('.cursor')].some(
          ({ textContent, style }) =>
            textContent?.includes(owner) &&
            Math.abs(parseFloat(style.left) - left) <= 1 &&
            Math.abs(parseFloat(style.top) - top) <= 1,
        ),
      [name, 100 * x, 100 * y] as const,
    );
  }

  /** Moves the pointer to (x, y), in fractions of the stage. */
  async point(x: number, y: number): Promise<void> {
    const box = await this.page.locator('#stage').boundingBox();
    if (!box) throw new Error('There is no stage');

    await this.page.mouse.move(box.x + x * box.width, box.y + y * box.height, { steps: 8 });
  }

  /** A state in the panel's table, such as 'send-iceState'. */
  state(name: string): Locator {
    return this.page.locator(`[data-state="${name}"]`);
  }

  /** A number in the panel, such as 'rtt'. */
  value(name: string): Locator {
    return this.page.locator(`[data-value="${name}"]`);
  }
}
