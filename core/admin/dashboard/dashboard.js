// The dashboard: asks the admin plane's /v1 endpoints, shows what they tell, and changes nothing.
// Whatever comes from the network becomes text, never markup.
'use strict';

const $ = (id) => document.getElementById(id);
const PERIOD_MS = 1000;
const HISTORY = 60; // points of a small curve
const EVENTS_MAX = 200; // shown of a stream
const TIMEOUT_MS = 10000;
const SEARCH_MS = 15000;
const AGAIN_MS = 2000; // until a stream that broke is asked for again
const ROWS_MAX = 200, COLUMNS_MAX = 40, DEPTH_MAX = 6, TEXT_MAX = 2000; // of what an event says

// ---- making elements ----

const SVG = 'http://www.w3.org/2000/svg';

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes || {}))
    if (name.startsWith('on')) node.addEventListener(name.slice(2), value);
    else if (value !== null && value !== undefined && value !== false) node.setAttribute(name, value === true ? '' : value);
  for (const child of [].concat(children ?? []))
    node.append(child instanceof Node ? child : document.createTextNode(String(child)));
  return node;
}
const make = (name, attributes, children) => fill(document.createElement(name), attributes, children);
const draw = (name, attributes, children) => fill(document.createElementNS(SVG, name), attributes, children);

// Replaces the content of a place, unless somebody is reading it with the keyboard or has marked text in it.
function put(place, ...nodes) {
  const selection = document.getSelection();
  if (place.contains(document.activeElement) && place.contains(document.activeElement.closest('.scroll, table, svg'))) return;
  if (selection && !selection.isCollapsed && place.contains(selection.anchorNode)) return;
  place.replaceChildren(...nodes);
}

// ---- figures ----

const whole = new Intl.NumberFormat('en');

function count(n) {
  if (n === null || n === undefined) return '–';
  for (const [size, unit] of [[1e9, ' G'], [1e6, ' M'], [1e4, ' k']])
    if (n >= size) return (n / (unit === ' k' ? 1e3 : size)).toPrecision(3) + unit;
  return n >= 100 || Number.isInteger(n) ? whole.format(Math.round(n)) : n.toPrecision(2);
}

function bytes(n) {
  if (n === null || n === undefined) return '–';
  let unit = 0;
  for (; n >= 1024 && unit < 4; unit++) n /= 1024;
  return (unit === 0 || n >= 100 ? Math.round(n) : n.toPrecision(3)) + ' ' + ['B', 'KiB', 'MiB', 'GiB', 'TiB'][unit];
}

function time(ms) {
  if (ms === null || ms === undefined) return '–';
  if (ms < 1000) return Math.round(ms) + ' ms';
  if (ms < 60000) return (ms / 1000).toFixed(1) + ' s';
  return ms < 3600000 ? Math.round(ms / 60000) + ' min' : (ms / 3600000).toFixed(1) + ' h';
}

const share = (x) => (x === null || x === undefined ? '–' : Math.round(100 * x) + ' %');
const clock = (text) => { const t = new Date(text); return text && !isNaN(t) ? t.toLocaleTimeString() : '–'; };

// ---- tables ----

// columns: [title, row => text or node, 'n' for figures]. The caption is for screen readers, unless it is to be shown.
function table(caption, columns, rows, none, shown = false) {
  if (rows.length === 0) return make('p', { class: 'soft' }, none);
  const cell = (tag, column, row) => {
    const value = column[1](row);
    return make(tag, { class: column[2], scope: tag === 'th' ? 'row' : null }, value ?? '–');
  };
  return make('div', { class: 'scroll', tabindex: 0, role: 'region', 'aria-label': caption },
    make('table', {}, [
      make('caption', { class: shown ? 'soft' : 'unseen' }, caption),
      make('thead', {}, make('tr', {}, columns.map((c) => make('th', { scope: 'col', class: c[2] }, c[0])))),
      make('tbody', {}, rows.map((row) => make('tr', {}, columns.map((c, i) => cell(i === 0 ? 'th' : 'td', c, row))))),
    ]));
}

// ---- asking ----

let token = sessionStorage.getItem('token') || '';

class Refused extends Error {
  constructor(status, text) { super(text); this.status = status; }
}

function headers() { return token ? { Authorization: 'Bearer ' + token } : {}; }

async function refusal(response) {
  const text = await response.text();
  try { return new Refused(response.status, JSON.parse(text).message || text); } catch { return new Refused(response.status, text.slice(0, 300)); }
}

async function ask(path, timeout = TIMEOUT_MS) {
  const response = await fetch(path, { headers: headers(), signal: AbortSignal.timeout(timeout), cache: 'no-store' });
  if (!response.ok) throw await refusal(response);
  return response.json();
}

// Server-sent events, by fetch: EventSource has no place for a token.
async function stream(path, signal, take) {
  const response = await fetch(path, { headers: headers(), signal, cache: 'no-store' });
  if (!response.ok) throw await refusal(response);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  for (let held = '';;) {
    const { value, done } = await reader.read();
    if (done) return;
    held += value;
    const blocks = held.split('\n\n');
    held = blocks.pop();
    for (const block of blocks) {
      const field = (name) => block.split('\n').filter((l) => l.startsWith(name + ':')).map((l) => l.slice(name.length + 1).trimStart()).join('\n');
      const data = field('data');
      if (data) take(field('event') || 'message', data);
    }
  }
}

// ---- the state line ----

let said = '';
function say(text, kind) {
  if (said === text) return; // a screen reader reads each change
  said = text;
  $('state').textContent = text;
  $('state').className = kind;
}

function failed(error) {
  if (error.status === 401) {
    $('token-form').hidden = false;
    say('a token is needed', 'bad');
  } else if (error instanceof Refused) {
    say(error.message, 'bad');
  } else {
    say('the router does not answer; asking again', 'bad');
  }
}

// ---- slots ----

function slotRanges(shards) {
  const ranges = [];
  for (const shard of shards)
    for (const text of shard.slots) {
      const [first, last] = String(text).split('-').map(Number);
      ranges.push({ shard: shard.shard, first, last: last ?? first });
    }
  return ranges.sort((a, b) => a.first - b.first);
}

function slotStrip(shards, total) {
  const height = Math.max(60, total / 64);
  const ranges = slotRanges(shards);
  const told = shards.map((s) => `shard ${s.shard}: ${s.slots.join(', ') || 'none'}`).join('; ');
  return [
    draw('svg', { class: 'strip', viewBox: `0 0 ${total} ${height}`, preserveAspectRatio: 'none', role: 'img', 'aria-label': 'Slots. ' + told },
      ranges.map((r) => draw('rect', { x: r.first, y: 0, width: r.last - r.first + 1, height, class: 'c' + (r.shard % 8) },
        draw('title', {}, `slots ${r.first} to ${r.last}: shard ${r.shard}`)))),
    make('ul', { class: 'key' }, shards.map((s) => make('li', {}, [
      draw('svg', { viewBox: '0 0 10 10', 'aria-hidden': 'true' }, draw('rect', { width: 10, height: 10, class: 'c' + (s.shard % 8) })),
      ` shard ${s.shard}: ${s.slots.join(', ') || 'no slots'}`,
    ]))),
  ];
}

// ---- rates ----

const past = new Map(); // name -> {points: [], last, at}

function rateOf(name, total, now) {
  const known = past.get(name) || { points: [] };
  if (known.at !== undefined && now > known.at && total >= known.last) {
    known.points.push((total - known.last) * 1000 / (now - known.at));
    if (known.points.length > HISTORY) known.points.shift();
  }
  known.last = total;
  known.at = now;
  past.set(name, known);
  return known.points.at(-1);
}

function curve(name) {
  const points = (past.get(name) || { points: [] }).points;
  const most = Math.max(...points, 1);
  const line = points.map((p, i) => `${i + HISTORY - points.length},${20 - 19 * p / most}`).join(' ');
  return draw('svg', { viewBox: `0 0 ${HISTORY - 1} 20`, preserveAspectRatio: 'none', 'aria-hidden': 'true' }, draw('polyline', { points: line }));
}

function tile(title, value, curveName) {
  return make('div', {}, [make('dt', {}, title), make('dd', {}, value), ...(curveName ? [curve(curveName)] : [])]);
}

const sum = (list, of) => list.reduce((all, item) => all + (of(item) || 0), 0);

function rates(shards) {
  const now = performance.now();
  for (const s of shards) {
    s.events_rate = rateOf('in' + s.shard, s.events_in_total, now);
    s.deliveries_rate = rateOf('out' + s.shard, s.deliveries_total, now);
  }
  return {
    events: rateOf('in', sum(shards, (s) => s.events_in_total), now),
    deliveries: rateOf('out', sum(shards, (s) => s.deliveries_total), now),
  };
}

// ---- columns ----

const shardColumns = [
  ['Shard', (s) => s.shard], ['Slots', (s) => s.slots.join(', ') || 'none'],
  ['Connections', (s) => count(s.connections), 'n'], ['Subscriptions', (s) => count(s.subscriptions), 'n'],
  ['Events/s', (s) => count(s.events_rate), 'n'], ['Deliveries/s', (s) => count(s.deliveries_rate), 'n'],
  ['Busy', (s) => share(s.busy_ratio), 'n'],
  ['Log', (s) => s.log ? `${bytes(s.log.bytes)}, ${count(s.log.produced - s.log.oldest)} of ${count(s.log.records)} events` : null],
];
const topicColumns = [
  ['Topic', (t) => t.topic], ['Events/s', (t) => count(t.rate_per_s), 'n'], ['Bytes/s', (t) => bytes(t.bytes_per_s), 'n'],
  ['Events', (t) => count(t.events_kept), 'n'], ['Kept', (t) => t.class], ['Slot', (t) => t.slot, 'n'], ['Shard', (t) => t.shard, 'n'],
  ['Last event', (t) => clock(t.last_event)],
];
const connectionColumns = [
  ['Client', (c) => c.client || '(no name)'], ['Address', (c) => c.address], ['Shard', (c) => c.shard, 'n'], ['Since', (c) => clock(c.since)],
  ['Subscriptions', (c) => count(c.subscriptions), 'n'], ['Published', (c) => count(c.published_total), 'n'],
  ['Delivered', (c) => count(c.delivered_total), 'n'], ['Behind', (c) => count(c.lag_events), 'n'], ['Last write', (c) => time(c.last_write_ms), 'n'],
];
const subscriptionColumns = [
  ['Client', (s) => s.client || '(no name)'], ['Patterns', (s) => s.queue || (s.patterns || []).join(' ')],
  ['Filter', (s) => s.filter ? JSON.stringify(s.filter) : s.queue ? 'of its queue' : 'none'],
  ['Kind', (s) => s.kind], ['Behind', (s) => count(s.lag_events), 'n'], ['in bytes', (s) => bytes(s.lag_bytes), 'n'],
  ['in time', (s) => time(s.lag_ms), 'n'], ['Drains/s', (s) => count(s.drain_per_s), 'n'], ['Last write', (s) => time(s.last_write_ms), 'n'],
];
const laggardColumns = [...subscriptionColumns,
  ['State', (s) => s.gone ? `gone ${clock(s.gone_at)}: ${s.reason || ''}` : s.lagging ? 'lagging' : 'caught up']];

// ---- events ----

const kindOf = (event) => event.type || '';

function eventButton(item) {
  const event = item.event || {};
  return make('button', { type: 'button', onclick: () => show(item) }, [
    make('b', {}, item.topic || ''), ` ${kindOf(event)} `, make('span', { class: 'soft' }, `${event.source || ''} ${event.id || ''} ${clock(event.time)}`),
  ]);
}

const words = (name) => name.replace(/([a-z])([A-Z])/g, (_, a, b) => a + ' ' + b.toLowerCase()).replaceAll('_', ' ');

// Names and values become rows, lists of like things tables.
function readable(value, depth = 0) {
  if (value === null || typeof value !== 'object') return document.createTextNode(String(value));
  if (depth > DEPTH_MAX) return document.createTextNode(JSON.stringify(value).slice(0, TEXT_MAX));
  if (Array.isArray(value)) {
    if (value.every((v) => v === null || typeof v !== 'object')) return document.createTextNode(value.join(', '));
    const rows = value.slice(0, ROWS_MAX), names = [...new Set(rows.flatMap((v) => Object.keys(v || {})))].slice(0, COLUMNS_MAX);
    const caption = rows.length < value.length ? `the first ${rows.length} of ${value.length} entries` : `${value.length} entries`;
    return table(caption, names.map((n) => [words(n), (v) => v && v[n] !== undefined ? readable(v[n], depth + 1) : '']), rows, 'none', true);
  }
  return make('table', {}, make('tbody', {}, Object.entries(value).slice(0, ROWS_MAX).map(([name, v]) =>
    make('tr', {}, [make('th', { scope: 'row' }, words(name)), make('td', {}, readable(v, depth + 1))]))));
}

function decoded(event) {
  const raw = Uint8Array.from(atob(event.data_base64), (c) => c.charCodeAt(0));
  try { return new TextDecoder('utf-8', { fatal: true }).decode(raw); } catch { return null; }
}

function dataOf(item) {
  const event = item.event || {};
  if (item.message !== undefined) return readable(item.message); // a canonical message, read by the router
  if (event.data !== undefined) return typeof event.data === 'string' ? make('pre', {}, event.data) : readable(event.data);
  if (event.data_base64 === undefined) return make('p', { class: 'soft' }, 'It has no data.');
  const text = decoded(event);
  return text === null ? make('p', {}, `${whole.format(Math.floor(event.data_base64.length * 3 / 4))} bytes that are not text.`) : make('pre', {}, text);
}

function show(item) {
  const { data, data_base64, ...attributes } = item.event || {};
  $('viewer-title').textContent = `${kindOf(attributes) || 'Event'} on ${item.topic}`;
  $('viewer-body').replaceChildren(
    make('h3', {}, 'Data'), dataOf(item),
    make('h3', {}, 'Attributes'), readable({ topic: item.topic, sequence: item.sequence, ...attributes }),
    make('details', {}, [make('summary', {}, 'As JSON'), make('pre', {}, JSON.stringify(item, null, 2))]));
  $('viewer').showModal();
}

function prepend(place, node) {
  place.prepend(node);
  while (place.childElementCount > EVENTS_MAX) place.lastElementChild.remove();
}

// ---- the routing graph ----

const NODE = { width: 205, height: 26, gap: 8 };
const COLUMNS = [['From', 0], ['Topics and patterns', 265], ['Queues and mailboxes', 530], ['To', 795]];
const GRAPH_NODES = 30; // of a kind
const KINDS = { source: 'source', topic: 'topic', pattern: 'pattern without events', queue: 'queue', mailbox: 'mailbox', client: 'client', spoke: 'spoke', rules: 'rules' };
const COLUMN_OF = { source: 0, topic: 1, pattern: 1, queue: 2, mailbox: 2, client: 3, spoke: 3, rules: 3 };

// Spokes and rules stand on both sides: they take events, and publish some.
const feeder = (graph, edge) => edge.kind === 'publishes' ? 'from ' + edge.from : edge.from;

function graphNodes(graph) {
  const feeds = new Set(graph.edges.filter((e) => e.kind === 'publishes').map((e) => e.from)), takes = new Set(graph.edges.map((e) => e.to));
  const columns = COLUMNS.map(() => []);
  for (const node of graph.nodes) {
    const both = node.kind === 'spoke' || node.kind === 'rules';
    if (feeds.has(node.id)) columns[0].push({ ...node, id: 'from ' + node.id });
    if (node.kind !== 'source' && (!both || takes.has(node.id) || !feeds.has(node.id))) columns[COLUMN_OF[node.kind]].push(node);
  }
  return columns.flatMap((nodes, column) => nodes.map((node, i) => ({ ...node, x: COLUMNS[column][1], y: 30 + i * (NODE.height + NODE.gap) })));
}

const short = (text) => (text.length > 26 ? text.slice(0, 12) + '…' + text.slice(-13) : text);

function graphPath(edge, from, to, most) {
  const x1 = from.x + NODE.width, y1 = from.y + NODE.height / 2, y2 = to.y + NODE.height / 2;
  const back = to.x < x1, x2 = back ? to.x + NODE.width : to.x, bend = back ? x1 + 40 : (x1 + x2) / 2; // dead letters go back to a topic
  const width = 1 + 7 * Math.sqrt((edge.rate_per_s || 0) / most);
  return draw('path', { d: `M${x1} ${y1}C${bend} ${y1} ${bend} ${y2} ${x2} ${y2}`, 'stroke-width': width.toFixed(1), class: edge.kind === 'dead_letters' ? 'dead' : null,
    'data-from': from.id, 'data-to': to.id });
}

function graphMark(svg, id) {
  for (const path of svg.querySelectorAll('path')) path.classList.toggle('on', id !== null && (path.dataset.from === id || path.dataset.to === id));
}

// What a screen reader says of a node: its kind and name, and whom it is connected to.
function graphSaid(node, graph, names) {
  const id = node.id.replace(/^from /, ''), some = (edges, of) => [...new Set(edges.map((e) => names.get(of(e))))];
  const list = (word, found) => (found.length === 0 ? '' : `; ${word} ${found.slice(0, 8).join(', ')}${found.length > 8 ? ` and ${found.length - 8} more` : ''}`);
  const figures = [node.rate_per_s === null ? '' : `, ${count(node.rate_per_s)} events per second`, node.waiting === null ? '' : `, ${count(node.waiting)} waiting`];
  return `${KINDS[node.kind]} ${node.name}${figures.join('')}${list('from', some(graph.edges.filter((e) => e.to === id), (e) => e.from))}${list('to', some(graph.edges.filter((e) => e.from === id), (e) => e.to))}`;
}

function graphDraw(graph) {
  const nodes = graphNodes(graph), at = new Map(nodes.map((n) => [n.id, n])), names = new Map(graph.nodes.map((n) => [n.id, n.name]));
  const edges = graph.edges.map((e) => [e, at.get(feeder(graph, e)), at.get(e.to)]).filter(([, from, to]) => from && to);
  const rates = new Map(graph.nodes.map((n) => [n.id, n.rate_per_s])), rate = (e) => (e.kind === 'subscribes' ? rates.get(e.from) : e.rate_per_s) || 0;
  const most = Math.max(1, ...graph.edges.map(rate));
  const height = 40 + Math.max(1, ...nodes.map((n) => n.y + NODE.height));
  const svg = draw('svg', { viewBox: `0 0 1000 ${height}`, role: 'group', 'aria-label': 'Routing: who publishes, topics, queues, who takes them; the table below says the same' });
  svg.append(...COLUMNS.map(([t, x]) => draw('text', { x, y: 18, class: 'soft' }, t)));
  svg.append(...edges.map(([e, from, to]) => graphPath({ ...e, rate_per_s: rate(e) }, from, to, most)));
  for (const n of nodes) {
    const mark = () => graphMark(svg, n.id), unmark = () => graphMark(svg, null), said = graphSaid(n, graph, names);
    svg.append(draw('g', { class: 'node ' + n.kind, tabindex: 0, role: 'img', 'aria-label': said, onfocus: mark, onblur: unmark, onmouseenter: mark, onmouseleave: unmark }, [
      draw('title', {}, said), draw('rect', { x: n.x, y: n.y, width: NODE.width, height: NODE.height, rx: 4 }),
      draw('text', { x: n.x + 8, y: n.y + 18 }, short(n.name))]));
  }
  return svg;
}

const EDGES = { publishes: 'publishes on', subscribes: 'is subscribed to by', member: 'is taken by', dead_letters: 'puts dead letters on' };

function graphTable(graph) {
  const nodes = new Map(graph.nodes.map((n) => [n.id, `${n.name} (${KINDS[n.kind]})`]));
  const how = (e) => [EDGES[e.kind], e.rule && `by the rule ${e.rule}`, e.pattern && `as ${e.pattern}`, e.filtered && 'with filters'].filter(Boolean).join(' ');
  return table('Who is connected to what', [['From', (e) => nodes.get(e.from)], ['How', how], ['To', (e) => nodes.get(e.to)], ['Events/s', (e) => count(e.rate_per_s), 'n']],
    graph.edges, 'Nobody has published or subscribed yet.');
}

// ---- views: what each asks, and how it shows it ----

function shardsTold(told) {
  const now = rates(told.shards);
  $('what').textContent = `${router ? router.version + ', ' : ''}${told.shards.length} shard${told.shards.length === 1 ? '' : 's'}`;
  if (router) $('what').title = `commit ${router.commit}, running since ${new Date(router.started_at).toLocaleString()}`;
  return now;
}

const views = {
  async overview() {
    const [told, topics, slow] = await Promise.all([ask('/v1/shards'), ask('/v1/topics?limit=8&sort=rate'), ask('/v1/laggards')]);
    const now = shardsTold(told), lagging = slow.laggards.filter((l) => !l.gone).length;
    put($('tiles'), tile('Events in, per second', count(now.events), 'in'), tile('Deliveries, per second', count(now.deliveries), 'out'),
      tile('Connections', count(sum(told.shards, (s) => s.connections))), tile('Subscriptions', count(sum(told.shards, (s) => s.subscriptions))),
      tile('Lagging now', count(lagging)), tile('Busiest shard', share(Math.max(...told.shards.map((s) => s.busy_ratio || 0)))));
    put($('slots'), ...slotStrip(told.shards, told.slots_total));
    put($('top-topics'), table('Busiest topics', topicColumns.slice(0, 4), topics.topics, 'No topic has had an event yet.'));
    put($('top-slow'), table('Slowest subscriptions', laggardColumns.filter((c) => c[0] !== 'Filter'), slow.laggards.slice(0, 5), 'Nobody lags.'));
    return lagging;
  },
  async shards() {
    const told = await ask('/v1/shards');
    shardsTold(told);
    put($('slots-large'), ...slotStrip(told.shards, told.slots_total));
    put($('shards'), table('Shards', shardColumns, told.shards, 'none'));
  },
  async topics() {
    const query = new URLSearchParams({ match: $('topics-match').value, sort: $('topics-sort').value, limit: 200 });
    const told = await ask('/v1/topics?' + query);
    put($('topics'), table(told.more ? 'The first 200 topics' : 'Topics', topicColumns, told.topics, 'No topic matches.', told.more));
  },
  async connections() {
    const [connections, subscriptions] = await Promise.all([ask('/v1/connections'), ask('/v1/subscriptions')]);
    put($('connections'), table('Connections', connectionColumns, connections.connections.slice(0, 500), 'Nobody is connected.'));
    put($('subscriptions'), table('Subscriptions', subscriptionColumns, subscriptions.subscriptions.slice(0, 500), 'Nobody has subscribed.'));
  },
  async laggards() {
    const told = await ask('/v1/laggards');
    put($('laggards'), table('Laggards', laggardColumns, told.laggards, 'Nobody lags, and nobody has in the last hour.'));
  },
  async graph() {
    const graph = await ask('/v1/graph?limit=' + GRAPH_NODES);
    put($('graph'), graphDraw(graph));
    put($('graph-table'), graphTable(graph));
    $('graph-said').textContent = graph.truncated ? `There is more than is shown: ${GRAPH_NODES} of each kind at most, and the first patterns of each subscriber.` : '';
  },
};

// ---- streams ----

let listening = null; // of the live view
let watching = null;  // of the dead letters,
let again = 0;        // ... or the timer until it is asked for again

function listen(path, take, told, ended) {
  const ends = new AbortController();
  stream(path, ends.signal, (kind, data) => {
    if (kind === 'gap') told('some events were left out: they come faster than this page is given them');
    else if (kind === 'cloudevent') take(JSON.parse(data));
    else if (kind === 'error') told(JSON.parse(data).message);
  }).then(() => ended('the router has ended the stream')).catch((error) => {
    if (ends.signal.aborted) return;
    ended(error.message || 'the stream broke');
    if (error.status === 401) failed(error);
  });
  return ends;
}

function liveStop() {
  if (listening) listening.abort();
  listening = null;
  $('live-go').textContent = 'Listen';
}

function liveToggle() {
  if (listening) {
    liveStop();
    $('live-said').textContent = 'stopped';
    return;
  }
  const query = new URLSearchParams({ match: $('live-match').value });
  if ($('live-oldest').checked) query.set('from', 'oldest');
  $('live').replaceChildren();
  $('live-said').textContent = 'listening to ' + $('live-match').value;
  $('live-go').textContent = 'Stop';
  listening = listen('/v1/events?' + query, (item) => prepend($('live'), eventButton(item)), (text) => { $('live-said').textContent = text; },
    (text) => { $('live-said').textContent = text; liveStop(); });
}

// The streams that views have by themselves: open while the view is looked at, and asked for again when they break.
const watched = {
  letters() {
    $('letters').replaceChildren();
    const said = (text) => { if ($('letters').childElementCount === 0) $('letters').replaceChildren(make('p', { class: 'soft' }, text)); };
    return ['/v1/events?' + new URLSearchParams({ match: '$dlq.>', from: 'oldest' }), (item) => prepend($('letters'), eventButton(item)), said];
  },
};

function unwatch() {
  clearTimeout(again);
  if (watching) watching.abort();
  watching = null;
}

function watch() {
  unwatch();
  if (held || document.hidden || !watched[view]) return;
  const [path, take, said] = watched[view]();
  watching = listen(path, take, said, (text) => { said(text); again = setTimeout(watch, AGAIN_MS); });
}

async function find() {
  $('found').replaceChildren('searching …');
  try {
    const told = await ask('/v1/event?' + new URLSearchParams({ source: $('find-source').value, id: $('find-id').value }), SEARCH_MS);
    const rest = told.complete ? [] : [make('p', { class: 'soft' }, 'Not all that is kept was searched.')];
    $('found').replaceChildren(make('div', { class: 'events' }, told.events.map(eventButton)), ...rest);
    if (told.events.length === 1) show(told.events[0]);
  } catch (error) {
    $('found').replaceChildren(make('p', {}, error instanceof Refused ? error.message : 'The router does not answer.'));
    if (error.status === 401) failed(error);
  }
}

// ---- going round ----

let view = 'overview';
let router = null; // what runs
let held = false;
let asking = false;

function viewShow(name) {
  view = $('view-' + name) ? name : 'overview';
  for (const section of document.querySelectorAll('main > section')) section.hidden = section.id !== 'view-' + view;
  for (const link of document.querySelectorAll('nav a'))
    if (link.hash === '#' + view) link.setAttribute('aria-current', 'page');
    else link.removeAttribute('aria-current');
  document.title = $('h-' + view).textContent + ' – Roundhouse';
  watch();
  if (view !== 'live') liveStop();
}

async function round() {
  if (asking || document.hidden || held) return;
  asking = true;
  try {
    router ??= await ask('/v1/router');
    const lagging = views[view] ? await views[view]() : (await ask('/v1/laggards')).laggards.filter((l) => !l.gone).length;
    $('token-form').hidden = true;
    say(lagging > 0 ? `running; ${lagging} subscription${lagging === 1 ? ' lags' : 's lag'}` : 'running', lagging > 0 ? 'bad' : 'good');
  } catch (error) {
    router = null; // another one may answer next
    failed(error);
  } finally {
    asking = false;
  }
}

function hold() {
  held = !held;
  $('hold').setAttribute('aria-pressed', held);
  watch();
  if (held) say('held: nothing is asked', '');
  else round();
}

function theme(name) {
  if (name) document.documentElement.dataset.theme = name;
  else delete document.documentElement.dataset.theme;
  localStorage.setItem('theme', name);
}

function begin() {
  $('theme').value = localStorage.getItem('theme') || '';
  theme($('theme').value);
  $('theme').addEventListener('change', () => theme($('theme').value));
  $('hold').addEventListener('click', hold);
  $('token-form').addEventListener('submit', (e) => {
    e.preventDefault();
    token = $('token').value.trim();
    sessionStorage.setItem('token', token);
    watch();
    round();
  });
  $('topics-ask').addEventListener('submit', (e) => { e.preventDefault(); round(); });
  $('find-ask').addEventListener('submit', (e) => { e.preventDefault(); find(); });
  $('live-ask').addEventListener('submit', (e) => { e.preventDefault(); liveToggle(); });
  window.addEventListener('hashchange', () => { viewShow(location.hash.slice(1)); round(); $('main').focus(); });
  document.addEventListener('visibilitychange', () => { watch(); round(); });
  viewShow(location.hash.slice(1) || 'overview');
  round();
  setInterval(round, PERIOD_MS);
}
begin();
