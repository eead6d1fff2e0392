// Drives the dashboard in a headless Chromium, as a user would: with the keyboard where that is to work, looking at what is shown.
// Arguments: the folder with node_modules, the address of the admin plane, a folder for screenshots, and what is known of the scene
// as JSON. Prints a line "ok NAME" or "not ok NAME: why" for each check; dashboard_test.py reads them.
import { createRequire } from 'node:module';
import { join } from 'node:path';

const [, , modules, address, folder, told] = process.argv;
const { chromium } = createRequire(join(modules, '/'))('playwright-core');
const scene = JSON.parse(told);
const WAIT = { timeout: 20000 };

const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox', '--disable-gpu'] });
const page = await browser.newPage({ viewport: { width: 1200, height: 900 } });
page.setDefaultTimeout(20000);
const complaints = [], foreign = [];
page.on('console', (m) => m.type() === 'error' && complaints.push(m.text()));
page.on('pageerror', (e) => complaints.push(e.message));
page.on('request', (r) => !r.url().startsWith(`http://${address}/`) && !r.url().startsWith('data:') && foreign.push(r.url()));
page.on('dialog', (d) => { complaints.push('a dialog: ' + d.message()); d.dismiss(); });

async function check(name, work) {
  try {
    await work();
    console.log('ok ' + name);
  } catch (error) {
    console.log(`not ok ${name}: ${String(error.message).split('\n')[0]}`);
  }
}

function want(right, why) {
  if (!right) throw new Error(why);
}

const view = (name) => page.click(`nav a[href="#${name}"]`);
const shows = (selector, text) => page.locator(selector, { hasText: text }).first().waitFor(WAIT);
const shot = (name) => page.screenshot({ path: join(folder, name + '.png'), fullPage: true });

async function shots(name) {
  for (const colorScheme of ['light', 'dark']) {
    await page.emulateMedia({ colorScheme });
    await shot(`${name}-${colorScheme}`);
  }
}

await page.goto(`http://${address}/`);

await check('overview', async () => {
  await shows('#state', 'running');
  await shows('#what', scene.version + ', 2 shards');
  await page.waitForFunction(() => /[1-9]/.test(document.querySelector('#tiles dd').textContent), null, WAIT);
  await shows('#top-topics tbody tr', scene.topic);
  want((await page.locator('#slots > svg').getAttribute('aria-label')).includes('shard 1: 2048-4095'), 'the picture of the slots has no text');
  await shots('overview');
});

await check('shards', async () => {
  await view('shards');
  await shows('#shards tbody tr', '2048-4095');
  want(await page.locator('#slots-large rect').count() >= 2, 'no slots are drawn');
  await shots('shards');
});

await check('topics', async () => {
  await view('topics');
  await page.fill('#topics-match', scene.topic.split('.')[0] + '.>');
  await page.keyboard.press('Enter');
  await shows('#topics tbody tr', scene.topic);
  await page.fill('#topics-match', 'nothing.here');
  await page.keyboard.press('Enter');
  await shows('#topics', 'No topic matches');
  await page.fill('#topics-match', 'not..right');
  await page.keyboard.press('Enter');
  await page.waitForFunction(() => document.querySelector('#state').className === 'bad', null, WAIT);
  await page.fill('#topics-match', '>');
  await shots('topics');
});

await check('connections, and a name that would be markup', async () => {
  await view('connections');
  await shows('#connections tbody tr', scene.evil);
  await shows('#subscriptions tbody tr', scene.filtered);
  want(await page.locator('#connections img, #subscriptions img').count() === 0, 'a client has put markup into the page');
  await shots('connections');
});

await check('who is slow', async () => {
  await view('laggards');
  await shows('#laggards tbody tr', scene.slow);
  await shots('laggards');
});

await check('dead letters, and the viewer by keyboard', async () => {
  await view('letters');
  await shows('#letters button', '$dlq.');
  await page.locator('#letters button').first().focus();
  await page.keyboard.press('Enter');
  await shows('#viewer', scene.letter);
  await shots('letters');
  await page.keyboard.press('Escape');
  want(!(await page.locator('#viewer').isVisible()), 'Escape does not close the viewer');
});

await check('an event is found, and a business document is readable', async () => {
  await view('find');
  await page.fill('#find-source', scene.source);
  await page.fill('#find-id', scene.id);
  await page.keyboard.press('Enter');
  await page.locator('#viewer').waitFor(WAIT);
  for (const text of scene.readable) await shows('#viewer-body td', text);
  await shots('found');
  await page.keyboard.press('Escape');
});

await check('an event that is not there', async () => {
  await page.fill('#find-id', 'no such id');
  await page.keyboard.press('Enter');
  await shows('#found', 'No log keeps an event');
});

await check('live events', async () => {
  await view('live');
  await page.fill('#live-match', scene.topic);
  await page.keyboard.press('Enter');
  await shows('#live button', scene.topic);
  await shots('live');
  await page.click('#live-go');
  await shows('#live-said', 'stopped');
});

await check('routing', async () => {
  await view('graph');
  await shows('#graph text', scene.topic);
  await shows('#graph text', '/test'); // where the events are from
  want(await page.locator('#graph path').count() >= 2, 'no lines are drawn');
  await page.locator('#graph g.node', { hasText: scene.topic }).first().focus();
  want(await page.locator('#graph path.on').count() >= 1, 'what a topic is connected to is not marked');
  const queue = page.locator('#graph g.queue', { hasText: scene.letter }).first();
  want(/queue billing.*from invoices\.(new|>); to \$dlq\.billing/.test(await queue.getAttribute('aria-label')), 'a queue does not say where its events are from: ' + (await queue.getAttribute('aria-label')));
  want(await page.locator('#graph g.spoke', { hasText: 'depot' }).count() === 1 && await page.locator('#graph g.rules', { hasText: 'carts' }).count() === 2,
    'spokes and rules are not drawn where they take and where they publish');
  await page.locator('details > summary', { hasText: 'As a table' }).click();
  await shows('#graph-table tbody tr', 'carts (rules)publishes on by the rule largelarge.carts (topic)');
  await shows('#graph-table tbody tr', 'is subscribed to by as shop.>');
  await shots('graph');
});

await check('the keyboard reaches every view', async () => {
  await page.evaluate(() => document.activeElement.blur());
  await page.goto(`http://${address}/`);
  await page.keyboard.press('Tab');
  want(await page.evaluate(() => document.activeElement.className) === 'skip', 'the first stop is not the way past the navigation');
  const names = new Set();
  for (let i = 0; i < 14; i++) {
    await page.keyboard.press('Tab');
    names.add(await page.evaluate(() => document.activeElement.hash || ''));
  }
  for (const link of await page.locator('nav a').all()) want(names.has(await link.evaluate((a) => a.hash)), `Tab does not reach ${await link.textContent()}`);
  await page.locator('nav a[href="#topics"]').focus();
  await page.keyboard.press('Enter');
  await shows('nav a[aria-current]', 'Topics');
  await page.waitForFunction(() => document.activeElement.id === 'main', null, WAIT);
});

await check('everything has a name', async () => {
  const nameless = await page.evaluate(() => [...document.querySelectorAll('input, select, button, a, [role=img], section')].filter((e) =>
    !(e.labels && e.labels.length) && !e.getAttribute('aria-label') && !e.getAttribute('aria-labelledby') && !e.textContent.trim()).map((e) => e.outerHTML.slice(0, 80)));
  want(nameless.length === 0, nameless.join(' '));
});

await check('the colours can be told from their ground', async () => {
  for (const colorScheme of ['light', 'dark']) {
    await page.emulateMedia({ colorScheme });
    const weak = await page.evaluate(() => {
      const style = getComputedStyle(document.documentElement);
      const light = (name) => {
        const hex = style.getPropertyValue(name).trim().replace(/^#(.)(.)(.)$/, '#$1$1$2$2$3$3');
        const [r, g, b] = [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16) / 255).map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
      };
      const ratio = (a, b) => (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
      return ['--ink', '--soft', '--link', '--good', '--bad'].flatMap((n) => ['--ground', '--panel'].filter((g) => ratio(light(n), light(g)) < 4.5).map((g) => `${n} on ${g}`));
    });
    want(weak.length === 0, `${colorScheme}: ${weak.join(', ')}`);
  }
});

await check('a narrow window needs no scrolling sideways', async () => {
  await page.setViewportSize({ width: 380, height: 800 });
  await page.goto(`http://${address}/#overview`);
  await shows('#state', 'running');
  want(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), 'the page is wider than the window');
  await shots('narrow');
});

await check('it asks nobody but the router, and complains of nothing', async () => {
  const rest = complaints.filter((c) => !c.includes('400 (Bad Request)') && !c.includes('404 (Not Found)')); // of the pattern that is none, and of no such event
  want(foreign.length === 0, foreign.join(' '));
  want(rest.length === 0, rest.join('; '));
});

console.log('asks for the end');
await check('a router that is gone is told', async () => {
  await page.waitForFunction(() => document.querySelector('#state').textContent.includes('does not answer'), null, WAIT);
});
await browser.close();
