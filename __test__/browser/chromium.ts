// The limit is 60 s, because a browser is slow to start while other tests run.
jest.setTimeout(60_000);

export { launchChromium } from '../helpers/chromium';
