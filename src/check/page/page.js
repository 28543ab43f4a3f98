/* Draws the report. The data comes from files and drivers, so it becomes text nodes and attributes
 * only, never markup. */
'use strict';
(() => {
const report = JSON.parse(document.getElementById('report').textContent);
const at = id => document.getElementById(id);
const state = {pass: report.bad ? report.bad.pass : 0, node: null, metric: 'largest', only: false,
               filter: '', sort: 'bad', down: true};
const findings = { /* the same texts as lp_finding_text() has */
  none: 'right', wrong: 'wrong numbers', not_finite: 'NaN or infinity',
  unwritten: 'elements that were not written', stray_write: 'writes outside its own memory',
  flaky: 'not the same twice', hazard: 'a missing barrier in the plan',
  overlap: 'memory in the plan that is used twice',
  replay: 'another result in the recorded plan than alone', device: 'the device failed'};

/* --- Elements, numbers ------------------------------------------------------------------------ */

function fill(node, attributes, children) {
  for (const [key, value] of Object.entries(attributes || {})) {
    if (value === undefined || value === null || value === false) continue;
    if (key.startsWith('on')) node.addEventListener(key.slice(2), value);
    else node.setAttribute(key, value === true ? '' : value);
  }
  node.append(...children.flat().filter(c => c || c === 0));
  return node;
}
const el = (tag, attributes, ...children) =>
  fill(document.createElement(tag), attributes, children);
const svg = (tag, attributes, ...children) =>
  fill(document.createElementNS('http://www.w3.org/2000/svg', tag), attributes, children);

/* "inf", "-inf" and "nan" stand for what JSON lacks. */
function real(value) {
  if (typeof value === 'number') return value;
  return value === 'inf' ? Infinity : value === '-inf' ? -Infinity : NaN;
}
function show(value, digits = 3) {
  value = real(value);
  if (!isFinite(value)) return isNaN(value) ? 'NaN' : value > 0 ? '\u221e' : '\u2212\u221e';
  if (value === 0) return '0';
  const size = Math.abs(value);
  const text = size >= 1e5 || size < 1e-3 ? value.toExponential(digits - 1)
    
    : size >= 10 ** digits ? count(Math.round(value)) : value.toPrecision(digits);
  return text.replace(/^-/, '\u2212').replace('e+', 'e');
}
function bytes(value) {
  const unit = Math.min(Math.floor(Math.log2(value) / 10), 5);
  return (value / 2 ** (10 * unit)).toFixed(1) + ' ' + ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'][unit];
}
const count = value => value.toLocaleString('en');
const shape = dims => '[' + dims.join(', ') + ']';
function place(dims, flat) {
  const index = [];
  for (let i = dims.length - 1; i >= 0; i--) {
    index.unshift(flat % dims[i]);
    flat = Math.floor(flat / dims[i]);
  }
  return '[' + index.join(', ') + ']';
}
const isBad = node => node.finding !== 'none';
const findingText = node => findings[node.finding] || node.finding;
function layer(name) {
  const found = /(?:^|\.)(?:blk|h|layers?|block)\.(\d+)(?:\.|$)/.exec(name);
  return found ? Number(found[1]) : null;
}
/* What a node's isolated or drift difference says of a metric; undefined where nothing was compared.
 * Copies must be exact: they have no sigma, and what drifted into them cannot be told in it. */
function metricOf(node, mode, metric) {
  const difference = node[mode];
  if (!difference) return undefined;
  const exact = mode === 'drift' && real(difference.largest) === Infinity && isFinite(real(difference.got));
  if (exact && metric !== 'nmse') return undefined;
  return metric === 'rms' ? Math.sqrt(real(difference.mean_square)) : real(difference[metric]);
}
const metrics = {largest: 'largest error, in \u03c3', rms: 'root mean square error, in \u03c3',
                 nmse: 'NMSE'};
const color = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

function copyable(text, tall) {
  const button = el('button', {type: 'button'}, 'Copy');
  const pre = el('pre', {}, text);
  button.addEventListener('click', () => {
    const range = document.createRange();
    range.selectNodeContents(pre);
    const selection = getSelection();
    selection.removeAllRanges();
    selection.addRange(range);
    /* the clipboard's newer interface is not offered to pages opened from a file everywhere */
    const done = document.execCommand('copy');
    if (!done && navigator.clipboard) navigator.clipboard.writeText(text).catch(() => {});
    button.textContent = 'Copied';
    setTimeout(() => { button.textContent = 'Copy'; }, 1500);
  });
  return el('div', {class: tall ? 'copyable tall' : 'copyable'}, pre, button);
}

function tip(event, ...children) {
  const box = at('tip');
  box.replaceChildren(...children);
  box.hidden = false;
  const {width, height} = box.getBoundingClientRect();
  const x = event.clientX + 16 + width > innerWidth ? event.clientX - 16 - width : event.clientX + 16;
  const y = event.clientY + 16 + height > innerHeight ? event.clientY - 12 - height : event.clientY + 16;
  box.style.left = Math.max(4, x) + 'px';
  box.style.top = Math.max(4, y) + 'px';
}
const untip = () => { at('tip').hidden = true; };
const lines = rows => el('table', {}, rows.filter(Boolean).map(([name, value, extra]) =>
  el('tr', {}, el('td', {class: 'soft'}, name), el('td', {class: extra}, value))));
function nodeTip(event, node) {
  tip(event, el('b', {}, node.name), ' ' + shape(node.dims), lines([
    ['op', [node.op, node.type].filter(Boolean).join(' ')],
    node.kernels && ['kernels', node.kernels],
    node.isolated && ['isolated', show(node.isolated.largest) + ' \u03c3, NMSE ' + show(node.isolated.nmse)],
    node.drift && ['drift', (driftText(node) && driftText(node) + ' \u03c3, ') + 'NMSE ' + show(node.drift.nmse)],
    isBad(node) && ['finding', findingText(node), 'is-bad']]));
}
const facts = rows => el('dl', {class: 'facts'}, rows.filter(Boolean).map(([name, value]) =>
  el('div', {}, el('dt', {}, name), el('dd', {}, value))));

/* --- Verdict, first bad node, device ----------------------------------------------------------- */

function verdict() {
  document.title = 'lapilli check: ' + (report.agrees ? 'agrees' : 'disagrees') + ', ' + report.device;
  fill(at('verdict'), {class: report.agrees ? 'right' : 'wrong'}, [
    el('span', {class: 'word'}, report.agrees ? '\u2713 agrees' : '\u2717 disagrees'),
    el('p', {class: 'sentence'}, report.sentence),
    report.command && el('div', {class: 'soft'}, 'Repeat it:'),
    report.command && copyable(report.command)]);
}

function differences(node) {
  const rows = [['elements', 'n', count], ['NMSE', 'nmse', show], ['mean square, \u03c3\u00b2', 'mean_square', show],
    ['largest, \u03c3', 'largest', show], ['largest |difference|', 'max_abs', show],
    ['largest, ULP', 'max_ulp', show], ['cosine', 'cosine', v => show(v, 9)], ['NaN', 'n_nan', count],
    ['infinite', 'n_inf', count], ['worst element', 'worst', v => place(node.dims, v)],
    ['expected there', 'expected', v => show(v, 7)], ['got there', 'got', v => show(v, 7)],
    ['\u03c3 there', 'sigma', show]];
  const modes = [['isolated', node.isolated], ['drift', node.drift]].filter(m => m[1]);
  return el('table', {class: 'pair'},
    el('tr', {}, el('th', {}, ''), modes.map(m => el('th', {class: 'num'}, m[0]))),
    rows.map(([name, key, text]) => el('tr', {}, el('td', {class: 'soft'}, name),
      modes.map(m => el('td', {class: 'num'}, text(m[1][key]))))));
}

function firstBad() {
  if (!report.bad) return;
  const pass = report.passes[report.bad.pass], node = pass.nodes[report.bad.node], d = node.isolated;
  const marks = {right: ['right', 'is-good'], wrong: ['wrong', 'is-bad'], nothing: ['no change', 'soft'],
    info: ['', 'soft']};
  const section = at('bad');
  section.hidden = false;
  fill(section, {}, [
    el('h2', {}, 'First bad node: ', el('span', {class: 'mono is-bad'}, node.name)),
    el('div', {class: node.map ? 'columns' : ''},
      facts([
        ['finding', el('span', {class: 'is-bad'}, findingText(node))],
        node.detail && ['detail', node.detail],
        ['pass', pass.name + (pass.n_tokens === 0 ? '' : ', ' + count(pass.n_tokens) +
          (pass.n_tokens === 1 ? ' token' : ' tokens') + ' from position ' + count(pass.position))],
        ['op', [node.op, node.type].filter(Boolean).join(' ')],
        node.kernels && ['kernels', el('span', {class: 'mono'}, node.kernels)],
        ['shape', shape(node.dims)],
        node.n_inputs > 0 && [node.op === 'linear' ? 'K' : 'inputs per element', count(node.n_inputs)],
        d && ['worst element', place(node.dims, d.worst)],
        d && ['expected, got', show(d.expected, 7) + ', ' + show(d.got, 7)],
        d && ['error there', show(d.largest) + ' \u03c3 (\u03c3 = ' + show(d.sigma) + ')'],
        d && ['whole tensor', 'NMSE ' + show(d.nmse) + ', rms ' + show(Math.sqrt(real(d.mean_square))) +
          ' \u03c3, cosine ' + show(d.cosine, 6)],
        d && d.n_nan + d.n_inf > 0 && ['not finite', count(d.n_nan) + ' NaN, ' + count(d.n_inf) + ' infinite']]),
      node.map && el('div', {}, heatMaps(node))),
    report.trials.length > 0 && el('h3', {}, 'What was tried'),
    report.trials.length > 0 && el('div', {class: 'scroll'}, el('table', {class: 'narrow'}, report.trials.map(t =>
      el('tr', {}, el('td', {class: 'name ' + marks[t.outcome][1]}, el('span', {class: 'mark'}, marks[t.outcome][0])),
        el('td', {}, t.change), el('td', {class: 'soft'}, t.detail))))),
    report.trials.length > 0 && el('p', {style: 'margin-top: 10px'}, 'Smallest change that makes it right: ',
      el('b', {}, report.smallest_change || 'none of these'), '.'),
    report.repro && el('h3', {}, 'This node alone, without the model'),
    report.repro && copyable('lapilli check --repro ' + report.repro),
    report.workaround && el('h3', {}, 'Workaround, for lapilli ' + (report.trajectory ? 'image' : 'run') + ' --workaround FILE'),
    report.workaround && copyable(typeof report.workaround === 'string' ? report.workaround
      : JSON.stringify(report.workaround, null, 2), true)].filter(Boolean));
}

function device() {
  const name = (text, driver) => driver ? text + ' (' + driver + ')' : text;
  at('device').append(facts([
    ['device under test', report.device], report.driver && ['driver', report.driver],
    ['compared with', name(report.against, report.against_driver)], report.model && ['model', report.model],
    report.path && ['file', report.path],
    report.tokens.length > 0 && ['prompt', count(report.tokens.length) + ' tokens'],
    ...report.facts.map(f => [f.name, /memory/.test(f.name) && f.value >= 1024 ? bytes(f.value) : String(f.value)]),
    ['lapilli', report.version], ['time of the check', show(report.seconds) + ' s']]));
}

/* --- Passes ------------------------------------------------------------------------------------ */

function passes() {
  /* heading, class of its cells, whether it is of texts only; of a pass p, its worst node w and its
     result l the text, and whether that is bad */
  const all = [
    ['pass', 'name', false, p => p.name],
    ['tokens', 'num', true, p => count(p.n_tokens)],
    ['from', 'num', true, p => count(p.position)],
    ['nodes', 'num', false, p => count(p.nodes.length)],
    ['bad', 'num', false, p => count(p.nodes.filter(isBad).length), p => p.nodes.some(isBad)],
    ['\u03c3', 'num', false, (p, w) => w && w.isolated ? show(w.isolated.largest) : ''],
    [report.trajectory ? 'result NMSE' : 'logits NMSE', 'num', false,
      (p, w, l) => l ? l.n_nan + l.n_inf ? 'not finite' : show(l.nmse) : ''],
    ['KL, nats', 'num', true, (p, w, l) => l ? show(p.kl) : ''],
    ['top-1', '', true, (p, w, l) => l ? p.top1_same ? 'same' : 'differs' : '', (p, w, l) => l && !p.top1_same],
    ['top-5', 'num', true, (p, w, l) => l ? p.top5_common + ' of 5' : ''],
    ['worst node, isolated', 'mono', false, (p, w) => w ? w.name : '', (p, w) => w && isBad(w)],
    ['kernels', 'mono soft', false, (p, w) => w ? w.kernels : '']].filter(c => !c[2] || !report.trajectory);
  const heads = all.map(([text, kind]) => [text, kind === 'num']);
  const rows = report.passes.map((p, i) => {
    const about = [p, p.nodes[p.worst], p.logits];
    return el('tr', {class: 'row', onclick: () => select(i, null)}, all.map(([, kind, , text, bad]) =>
      el('td', {class: bad && bad(...about) ? kind + ' is-bad' : kind}, text(...about))));
  });
  at('passes').append(el('div', {class: 'scroll'}, el('table', {},
    el('thead', {}, el('tr', {}, heads.map(([t, n]) => el('th', {class: n && 'num'}, t)))),
    el('tbody', {}, rows))),
    ...report.passes.filter(p => p.choices).map(p => el('p', {}, p.name + ': ' + p.choices + '.')));
  return () => rows.forEach((r, i) => r.classList.toggle('picked', i === state.pass));
}

/* --- A picture being made ---------------------------------------------------------------------- */

function picture() {
  const t = report.trajectory;
  if (!t) return () => {};
  const section = at('picture'), p = t.picture, chart = el('div', {});
  section.hidden = false;
  const frame = (title, source, more) => el('figure', {}, el('figcaption', {}, title),
    el('img', {src: source, alt: title, width: Math.max(p.width, 220)}), more);
  section.append(el('h2', {}, 'The picture, on each device by itself'),
    el('p', {class: 'note'}, `From the same noise (seed ${t.seed}), ${count(t.n_steps)} steps of ${t.sampler}, guidance ${show(t.guidance)}. ` +
      'The errors of all nodes and steps add up here.'),
    ...[t.failure && el('p', {class: 'is-bad'}, `No picture after ${count(t.steps.length)} of ${count(t.n_steps)} steps: ${t.failure}`),
      p && el('div', {class: 'pictures'}, frame(report.against, p.expected), frame(report.device, p.got),
        frame('largest difference of each pixel, of colours from 0 to 1', p.map,
          scale(show(p.low), p.colors, show(p.high)))),
      p && el('p', {class: 'note'}, `${count(p.width)} \u00d7 ${count(p.height)} pixels, NMSE ${show(p.pixels.nmse)}, largest difference ` +
        `${show(p.pixels.max_abs)}. ` + (p.n_other === 0 ? 'In 8 bits all pixels have the same colour.'
        : `In 8 bits ${count(p.n_other)} of ${count(p.width * p.height)} pixels have another colour, by up to ${p.most_levels} of 255 levels.`)),
      t.steps.length > 0 && el('h3', {}, 'Latents behind each step')].filter(Boolean), chart);
  return () => { if (t.steps.length > 0) chart.replaceChildren(latents(t)); };
}

/* NMSE of the latents over the steps, on a logarithmic scale. */
function latents(t) {
  const width = Math.max(340, at('picture').clientWidth - 44), height = 200, left = 56, right = 16, top = 20, bottom = 26;
  const values = t.steps.map(s => real(s.latents.nmse)), shown = values.filter(v => v > 0 && isFinite(v)).concat(t.bound);
  const low = Math.floor(Math.log10(Math.min(...shown))), high = Math.ceil(Math.log10(Math.max(...shown)));
  const y = v => top + (height - top - bottom) * (1 - (Math.log10(Math.max(v, 10 ** low)) - low) / Math.max(1, high - low));
  const x = step => left + (width - left - right) * (step - 0.5) / t.n_steps;
  const parts = [svg('text', {x: 0, y: 8}, 'NMSE')];
  for (let d = low; d <= high; d += Math.ceil((high - low) / 6)) parts.push(
    svg('path', {d: `M${left} ${y(10 ** d)}H${width - right}`, stroke: 'var(--line)'}),
    svg('text', {x: left - 7, y: y(10 ** d) + 4, 'text-anchor': 'end'}, '1e' + d));
  parts.push(svg('path', {d: `M${left} ${y(t.bound)}H${width - right}`, stroke: 'var(--bad)', 'stroke-dasharray': '2 5'}),
    svg('text', {x: width - right, y: y(t.bound) - 5, 'text-anchor': 'end'}, 'bound behind the last step: ' + t.bound));
  const each = Math.ceil(t.n_steps / 20);
  t.steps.forEach((s, i) => {
    if (i % each === 0) parts.push(svg('text', {x: x(s.step), y: height - 8, 'text-anchor': 'middle'}, String(s.step)));
    if (i > 0) parts.push(svg('path', {d: `M${x(t.steps[i - 1].step)} ${y(values[i - 1])}L${x(s.step)} ${y(values[i])}`, stroke: 'var(--drift)', 'stroke-width': 1.8}));
    const tips = e => tip(e, el('b', {}, 'step ' + s.step), ', timestep ' + show(s.timestep), lines([['latents NMSE', show(values[i]), 'num'],
      ['largest difference', show(s.latents.max_abs), 'num'], ['cosine', show(s.latents.cosine, 9), 'num']]));
    parts.push(svg('circle', {cx: x(s.step), cy: y(values[i]), r: 4, fill: values[i] <= t.bound ? 'var(--drift)' : 'var(--bad)',
      onmousemove: tips, onmouseleave: untip}));
  });
  return svg('svg', {viewBox: `0 0 ${width} ${height}`, height, role: 'img', 'aria-label': 'latent error over steps'}, parts);
}

/* --- Colours ----------------------------------------------------------------------------------- */

const rgb = text => [1, 3, 5].map(i => parseInt(text.slice(i, i + 2), 16));
function ramp(stops, t) {
  const x = Math.min(Math.max(t, 0), 1) * (stops.length - 1), i = Math.min(Math.floor(x), stops.length - 2);
  const a = rgb(stops[i]), b = rgb(stops[i + 1]);
  return a.map((v, k) => Math.round(v + (b[k] - v) * (x - i)));
}
/* Errors: from the card's colour to one that stands out; values: brown, neutral, teal. */
function palettes() {
  const dark = matchMedia('(prefers-color-scheme: dark)').matches;
  return dark
    ? {error: ['#222b34', '#4b3a82', '#9a3479', '#d8553f', '#ffd166'],
       value: ['#f0b35a', '#8a5a1c', color('--neutral'), '#1d7f77', '#6fe0d2']}
    : {error: ['#f3f4f6', '#fbdc8b', '#f08a4b', '#b82a55', '#3d0b57'],
       value: ['#8c510a', '#d8b365', color('--neutral'), '#5ab4ac', '#01665e']};
}
const css = c => 'rgb(' + c.join(',') + ')';
const gradient = stops => 'background: linear-gradient(90deg, ' + stops.join(', ') + ')';
const scale = (low, stops, high, ...more) => el('div', {class: 'scale'}, el('span', {}, low),
  el('i', {style: gradient(stops)}), el('span', {}, high), more);

/* --- Overview: passes x nodes ------------------------------------------------------------------ */

function overview() {
  const top = Math.max(1, ...report.passes.map(p => p.nodes.length));
  const letters = Math.max(...report.passes.map(p => p.name.length));
  const left = Math.min(140, Math.max(92, 7 * letters)), height = 20, axis = 20;
  const canvas = el('canvas', {style: 'image-rendering: auto; cursor: pointer',
    'aria-label': 'largest isolated error of every node in every pass'});
  const box = el('div', {});
  let cell = 1;
  function draw() {
    const colors = palettes(), ratio = devicePixelRatio || 1;
    const width = at('overview').clientWidth - 44, full = axis + height * report.passes.length;
    cell = (width - left) / top;
    canvas.width = width * ratio;
    canvas.height = full * ratio;
    canvas.style.height = full + 'px';
    const c = canvas.getContext('2d');
    c.scale(ratio, ratio);
    c.font = '11.5px system-ui, sans-serif';
    c.textBaseline = 'middle';
    const longest = report.passes.reduce((a, p) => p.nodes.length > a.length ? p.nodes : a, []);
    let label = -40, before = null;
    c.fillStyle = color('--soft');
    longest.forEach((node, i) => {
      const l = layer(node.name), x = left + i * cell;
      if (l !== null && l !== before && x - label > 30) {
        c.fillText(l === 0 ? 'layer 0' : String(l), x, 8);
        label = l === 0 ? x + 24 : x;
      }
      before = l;
    });
    report.passes.forEach((p, row) => {
      const y = axis + row * height;
      c.fillStyle = color(row === state.pass ? '--ink' : '--soft');
      c.font = (row === state.pass ? '650 ' : '') + '12px system-ui, sans-serif';
      c.fillText(p.name.length > 20 ? p.name.slice(0, 19) + '\u2026' : p.name, 0, y + height / 2, left - 8);
      p.nodes.forEach((node, i) => {
        const value = metricOf(node, 'isolated', 'largest');
        c.fillStyle = isBad(node) ? color('--bad')
          : value === undefined ? color('--card') : css(ramp(colors.error, Math.log10(Math.max(value, 1)) / 4));
        c.fillRect(left + i * cell, y + 1, Math.max(cell - (cell > 4 ? 1 : 0), 1), height - 2);
        if (isBad(node) && cell < 3) c.fillRect(left + i * cell - 1, y + 1, 3, height - 2);
      });
    });
    box.replaceChildren(scale('1 \u03c3', colors.error, '10,000 \u03c3 and more',
      el('span', {class: 'key', style: 'margin-left: 18px'},
        el('span', {style: 'width: 11px; height: 11px; background: var(--bad)'}), 'bad')));
  }
  function find(event) {
    const r = canvas.getBoundingClientRect();
    const row = Math.floor((event.clientY - r.top - axis) / height);
    const i = Math.floor((event.clientX - r.left - left) / cell);
    const p = report.passes[row];
    return p ? {row, i, p, node: p.nodes[i]} : null;
  }
  canvas.addEventListener('mousemove', e => {
    const f = find(e);
    if (f && f.node) nodeTip(e, f.node); else untip();
  });
  canvas.addEventListener('mouseleave', untip);
  canvas.addEventListener('click', e => {
    const f = find(e);
    if (f) select(f.row, f.node ? f.i : null);
  });
  at('overview').append(el('p', {class: 'note'}, 'Largest isolated error; a row is a pass, a column a node, in the order ' +
    'of the computation. Click one for its numbers.'), canvas, el('div', {style: 'max-width: 460px'}, box));
  return draw;
}

/* --- Error over depth -------------------------------------------------------------------------- */

function depth() {
  const chooser = el('select', {'aria-label': 'pass', onchange: e => select(Number(e.target.value), null)},
    report.passes.map((p, i) => el('option', {value: i}, p.name)));
  const buttons = Object.entries({largest: 'largest', rms: 'rms', nmse: 'NMSE'}).map(([id, text]) =>
    el('button', {type: 'button', title: metrics[id], onclick: () => { state.metric = id; update(); }}, text));
  const key = (mark, text) => el('span', {class: 'key'}, svg('svg', {width: 16, height: 10, style: 'width: 16px'}, mark), text);
  const holder = el('div', {});
  at('depth').append(el('p', {class: 'note'}, 'Isolated errors are held against a bound. Drift holds the rounding of all ' +
    'nodes before, \u03c3 only the node\u2019s own: hundreds and thousands are usual there.'), el('div', {class: 'bar'}, 'Pass', chooser, el('span', {class: 'group'}, buttons),
    el('span', {class: 'push'}),
    key(svg('circle', {cx: 8, cy: 5, r: 3.5, fill: 'var(--isolated)'}), 'isolated'),
    key(svg('path', {d: 'M0 5H16', stroke: 'var(--drift)', 'stroke-width': 2}), 'drift'),
    key(svg('path', {d: 'M4 1l8 8m0-8l-8 8', stroke: 'var(--bad)', 'stroke-width': 2.2}), 'bad')), holder);
  return () => {
    chooser.value = state.pass;
    buttons.forEach((b, i) => b.setAttribute('aria-pressed', ['largest', 'rms', 'nmse'][i] === state.metric));
    const p = report.passes[state.pass];
    if (p) holder.replaceChildren(depthChart(p));
  };
}

function depthChart(pass) {
  const width = Math.max(at('depth').clientWidth - 46, 200), height = 330;
  const left = 52, right = 10, top = 40, bottom = 42, n = pass.nodes.length;
  const series = ['isolated', 'drift'].map(m => pass.nodes.map(node => metricOf(node, m, state.metric)));
  const finite = series.flat().filter(v => v !== undefined && isFinite(v) && v > 0).map(Math.log10);
  let low = Math.floor(Math.min(...finite, state.metric === 'nmse' ? -12 : 0));
  let high = Math.ceil(Math.max(...finite, low + 2) + 0.05);
  low = Math.max(low, high - 24);
  const x = i => left + (i + 0.5) * (width - left - right) / Math.max(n, 1);
  const y = v => v === undefined ? null : v === 0 ? height - bottom : !isFinite(v) ? top - 15
    : height - bottom - (Math.max(Math.log10(v), low) - low) / (high - low) * (height - top - bottom);
  const parts = [];
  /* bands of layers */
  let begin = 0, shown = -99;
  for (let i = 1; i <= n; i++) {
    const l = layer(pass.nodes[begin].name);
    if (i < n && layer(pass.nodes[i].name) === l) continue;
    const a = x(begin - 0.5), b = x(i - 0.5);
    if (l !== null && l % 2 === 0)
      parts.push(svg('rect', {x: a, y: top, width: b - a, height: height - top - bottom, fill: 'var(--wash)'}));
    if (l !== null && (a + b) / 2 - shown > 26) {
      shown = (a + b) / 2;
      parts.push(svg('text', {x: shown, y: height - bottom + 16, 'text-anchor': 'middle'}, String(l)));
    }
    begin = i;
  }
  parts.push(svg('text', {x: (left + width) / 2, y: height - 6, 'text-anchor': 'middle'}, 'layer'));
  /* decades */
  const step = Math.ceil((high - low) / 10);
  for (let d = low; d <= high; d += step) {
    const v = y(10 ** d);
    parts.push(svg('path', {d: `M${left} ${v}H${width - right}`, stroke: 'var(--line)'}),
      svg('text', {x: left - 7, y: v + 4, 'text-anchor': 'end'}, Math.abs(d) < 4 ? String(Number((10 ** d).toPrecision(1))) : '1e' + d));
  }
  parts.push(svg('text', {x: 0, y: 8}, metrics[state.metric]));
  if (state.metric !== 'nmse') {
    const bound = state.metric === 'rms' ? Math.sqrt(report.bounds.mean_square) : report.bounds.largest, v = y(bound);
    parts.push(svg('path', {d: `M${left} ${v}H${width - right}`, stroke: 'var(--bad)', 'stroke-dasharray': '2 5'}),
      svg('text', {x: width - right, y: v - 5, 'text-anchor': 'end'}, 'bound of isolated errors: ' + bound));
  }
  /* drift as a line with gaps where nothing was compared, isolated as points */
  let line = '', up = true;
  series[1].forEach((v, i) => {
    const h = y(v);
    if (h !== null) line += (up ? 'M' : 'L') + x(i).toFixed(1) + ' ' + h.toFixed(1);
    up = h === null;
  });
  parts.push(svg('path', {d: line, fill: 'none', stroke: 'var(--drift)', 'stroke-width': 1.8, 'stroke-linejoin': 'round'}));
  const radius = n > 200 ? 2 : 3;
  pass.nodes.forEach((node, i) => {
    const h = y(series[0][i]);
    if (isBad(node)) {
      const b = h === null ? y(series[1][i]) === null ? height - bottom : y(series[1][i]) : h;
      parts.push(svg('path', {d: `M${x(i) - 5} ${b - 5}l10 10m0-10l-10 10`, stroke: 'var(--bad)', 'stroke-width': 2.4}));
    } else if (h !== null)
      parts.push(svg('circle', {cx: x(i), cy: h, r: radius, fill: 'var(--isolated)'}));
  });
  if (series.flat().some(v => v !== undefined && !isFinite(v)))
    parts.push(svg('text', {x: left - 7, y: top - 11, 'text-anchor': 'end'}, '\u221e NaN'));
  const cursor = svg('path', {stroke: 'var(--soft)', 'stroke-dasharray': '3 3'});
  const picked = state.node === null ? null : svg('path', {d: `M${x(state.node)} ${top}V${height - bottom}`, stroke: 'var(--isolated)'});
  const chart = svg('svg', {viewBox: `0 0 ${width} ${height}`, height, role: 'img', 'aria-label': 'error over depth'},
    parts, picked, cursor, svg('rect', {x: left, y: 0, width: width - left, height, fill: 'transparent'}));
  const find = e => {
    const r = chart.getBoundingClientRect();
    return Math.min(n - 1, Math.max(0, Math.floor((e.clientX - r.left - left) / (width - left - right) * n)));
  };
  chart.addEventListener('mousemove', e => {
    const i = find(e);
    cursor.setAttribute('d', `M${x(i)} ${top}V${height - bottom}`);
    nodeTip(e, pass.nodes[i]);
  });
  chart.addEventListener('mouseleave', () => { cursor.setAttribute('d', ''); untip(); });
  chart.addEventListener('click', e => select(state.pass, find(e)));
  return chart;
}

/* --- Nodes ------------------------------------------------------------------------------------- */

const driftText = node => {
  const sigma = metricOf(node, 'drift', 'largest');
  return sigma === undefined ? '' : show(sigma);
};
const iso = (key, node) => node.isolated ? real(node.isolated[key]) : -1;
const columns = [
  ['bad', 'finding', n => isBad(n) ? 1 : 0, n => el('span', {class: isBad(n) ? 'is-bad' : 'soft'}, findingText(n)), 'name'],
  ['order', '#', (n, i) => i, (n, i) => String(i), 'num'],
  ['name', 'node', n => n.name, n => n.name, 'name mono'],
  ['largest', 'largest, \u03c3', n => iso('largest', n), n => n.isolated ? show(n.isolated.largest) : '', 'num'],
  ['nmse', 'NMSE', n => iso('nmse', n), n => n.isolated ? show(n.isolated.nmse) : '', 'num'],
  ['ulp', 'ULP', n => iso('max_ulp', n), n => n.isolated ? show(n.isolated.max_ulp) : '', 'num'],
  ['dlargest', 'drift, \u03c3', n => metricOf(n, 'drift', 'largest') ?? -1, n => driftText(n), 'num'],
  ['dnmse', 'drift NMSE', n => n.drift ? real(n.drift.nmse) : -1, n => n.drift ? show(n.drift.nmse) : '', 'num'],
  ['op', 'op', n => n.op, n => [n.op, n.type].filter(Boolean).join(' '), 'name'],
  ['kernels', 'kernels', n => n.kernels, n => n.kernels, 'mono soft'],
  ['shape', 'shape', n => n.dims.reduce((a, b) => a * b, 1), n => shape(n.dims), 'name']];

function nodes() {
  const title = el('span', {class: 'soft'}), body = el('tbody', {}), number = el('span', {class: 'soft push'});
  const heads = columns.map(([id, text, , , kind]) => el('th', {class: kind && kind.includes('num') ? 'num' : ''},
    el('button', {type: 'button', onclick: () => {
      state.down = state.sort === id ? !state.down : !['order', 'name', 'op', 'kernels'].includes(id);
      state.sort = id;
      draw();
    }}, text)));
  const search = el('input', {type: 'search', placeholder: 'filter: name, op, kernel', size: 26,
    oninput: e => { state.filter = e.target.value.toLowerCase(); draw(); }});
  const box = el('input', {type: 'checkbox', onchange: e => { state.only = e.target.checked; draw(); }});
  at('nodes').append(el('div', {class: 'bar'}, title, search, el('label', {}, box, ' bad ones only'), number),
    el('div', {class: 'scroll tall'}, el('table', {}, el('thead', {}, el('tr', {}, heads)), body)));
  function draw() {
    const pass = report.passes[state.pass];
    if (!pass) return;
    const worth = columns.find(c => c[0] === state.sort)[2];
    const order = v => typeof v === 'number' && isNaN(v) ? Infinity : v;
    const rows = pass.nodes.map((node, i) => ({node, i, v: order(worth(node, i))}))
      .filter(r => (!state.only || isBad(r.node)) && (!state.filter ||
        [r.node.name, r.node.op, r.node.type, r.node.kernels, findingText(r.node)].join(' ').toLowerCase().includes(state.filter)));
    const compare = (a, b) => typeof a === 'string' ? a.localeCompare(b, 'en', {numeric: true})
      : a < b ? -1 : a > b ? 1 : 0;
    rows.sort((a, b) => (state.down ? -1 : 1) * compare(a.v, b.v) ||
      (state.sort === 'bad' && isBad(a.node) && isBad(b.node) ? 0 // the first one first
        : compare(order(iso('largest', b.node)), order(iso('largest', a.node)))) || a.i - b.i);
    title.textContent = 'Pass \u201c' + pass.name + '\u201d';
    number.textContent = count(rows.length) + ' of ' + count(pass.nodes.length);
    heads.forEach((h, k) => h.setAttribute('aria-sort', columns[k][0] !== state.sort ? 'none' : state.down ? 'descending' : 'ascending'));
    body.replaceChildren(...rows.flatMap(({node, i}) => {
      const open = i === state.node;
      const row = el('tr', {class: open ? 'row picked' : 'row', onclick: () => { state.node = open ? null : i; update(); }},
        columns.map(([, , , text, kind]) => el('td', {class: kind}, text(node, i))));
      return open ? [row, el('tr', {class: 'more'}, el('td', {colspan: columns.length}, node.detail && el('p', {class: 'is-bad'}, node.detail),
        el('div', {class: node.map ? 'columns' : ''}, differences(node), node.map && el('div', {}, heatMaps(node)))))] : [row];
    }));
  }
  return draw;
}

/* --- Heat maps --------------------------------------------------------------------------------- */

function heatMaps(node) {
  const map = node.map, {rows, columns: wide} = map, n = rows * wide, colors = palettes();
  const flat = rows * 3 < wide; /* below each other instead of side by side */
  const expected = map.expected.map(real), got = map.got.map(real), error = map.error.map(real);
  const sizes = expected.filter(isFinite).map(Math.abs).sort((a, b) => a - b);
  const reach = sizes[Math.floor(sizes.length * 0.99)] || sizes[sizes.length - 1] || 1;
  /* at least to 100, so that what rounding does looks calm */
  const top = Math.max(2, Math.log10(Math.max(1, ...error.filter(isFinite))));
  const strange = rgb(color('--nan').padEnd(7, '0'));
  const value = v => isNaN(v) ? strange : ramp(colors.value, (v / reach + 1) / 2);
  const wrong = v => !isFinite(v) ? strange : ramp(colors.error, Math.log10(Math.max(v, 1)) / top);
  let worst = 0;
  const size = v => isNaN(v) ? Infinity : v;
  for (let i = 1; i < n; i++) if (size(error[i]) > size(error[worst])) worst = i;
  const cells = [];
  const mark = i => cells.forEach(c => {
    c.style.left = i % wide / wide * 100 + '%';
    c.style.top = Math.floor(i / wide) / rows * 100 + '%';
    c.style.width = `max(${100 / wide}%, 6px)`;
    c.style.height = `max(${100 / rows}%, 6px)`;
  });
  /* row and column of a cell: first and last of the tensor's picture that it stands for */
  const span = (part, parts, total) =>
    [part, part + 1].map((p, end) => Math.ceil(p * total / parts) - end);
  const plain = node.dims.length > 1 && node.dims[0] === map.tensor_rows;
  function where(i) {
    const [above, below] = span(Math.floor(i / wide), rows, map.tensor_rows);
    const [left, right] = span(i % wide, wide, map.tensor_columns);
    const both = (a, b) => a === b ? String(a) : a + '\u2013' + b;
    if (plain && node.dims.length === 2) return '[' + both(above, below) + ', ' + both(left, right) + ']';
    const last = node.dims.reduce((a, b) => a * b, 1) - 1;
    const [a, b] = [above * map.tensor_columns + left, below * map.tensor_columns + right]
      .map(v => place(node.dims, Math.min(v, last)));
    return a === b ? a : a + ' \u2026 ' + b;
  }
  function figure(title, values, paint, legend) {
    const canvas = el('canvas', {width: wide, height: rows, 'aria-label': title});
    const c = canvas.getContext('2d'), image = c.createImageData(wide, rows);
    values.forEach((v, i) => image.data.set([...paint(v), 255], 4 * i));
    c.putImageData(image, 0, 0);
    const across = (flat ? 620 : 300) / wide; /* of a square cell, about */
    canvas.style.height = Math.round(rows * Math.max(Math.min(across, 22, 300 / rows), 1)) + 'px';
    const cell = el('div', {class: 'cell'}), frame = el('div', {class: 'frame'}, canvas, cell);
    cells.push(cell);
    frame.addEventListener('mousemove', e => {
      const r = canvas.getBoundingClientRect();
      const column = Math.min(wide - 1, Math.max(0, Math.floor((e.clientX - r.left) / r.width * wide)));
      const row = Math.min(rows - 1, Math.max(0, Math.floor((e.clientY - r.top) / r.height * rows)));
      const i = row * wide + column;
      const many = map.tensor_rows > rows || map.tensor_columns > wide;
      mark(i);
      tip(e, el('b', {}, where(i)), many ? ' worst of these' : '', lines([['expected', show(expected[i], 7), 'num'],
        ['got', show(got[i], 7), 'num'], ['error', show(error[i]) + ' \u03c3', 'num']]));
    });
    frame.addEventListener('mouseleave', () => { untip(); mark(worst); });
    return el('figure', {}, el('figcaption', {}, title), frame, legend);
  }
  const values = () => scale(show(-reach, 2), colors.value, show(reach, 2));
  const result = el('div', {class: flat ? 'maps flat' : 'maps'},
    figure('expected', expected, value, values()), figure('got', got, value, values()),
    figure('error, in \u03c3', error, wrong, scale('1', colors.error, show(10 ** top, 2))));
  mark(worst);
  const strangers = [...got, ...error].some(v => !isFinite(v));
  return [result, el('p', {class: 'note', style: 'margin-top: 8px'},
    `${rows} \u00d7 ${wide} cells of ` + (plain ? '' : 'a row, folded into ') + `${count(map.tensor_rows)} \u00d7 ${count(map.tensor_columns)}` +
    (n < map.tensor_rows * map.tensor_columns ? '; each shows the worst element of its part. ' : '. ') + 'Rows down, columns across; the frame marks the worst.',
    strangers && el('span', {class: 'key', style: 'margin-left: 12px'},
      el('span', {style: 'width: 11px; height: 11px; background: var(--nan)'}), 'NaN, infinite error'))];
}

function maps() {
  const most = 8, holder = el('div', {});
  at('maps').append(holder);
  return () => {
    const pass = report.passes[state.pass];
    const list = pass ? pass.nodes.filter(n => n.map) : [];
    const draw = some => some.map(n => el('div', {class: 'map'}, el('h3', {}, el('span', {class: isBad(n) ? 'mono is-bad' : 'mono'}, n.name),
      el('span', {class: 'soft'}, ' ' + shape(n.dims) + ' ' + (isBad(n) ? findingText(n) : 'the largest error of the pass'))), heatMaps(n)));
    holder.replaceChildren(el('p', {class: 'note'}, list.length ? 'Bad and worst tensors of pass \u201c' + pass.name + '\u201d.'
      : 'None in this pass.'), ...draw(list.slice(0, most)));
    if (list.length > most) {
      const button = el('button', {type: 'button', onclick: () => { button.replaceWith(...draw(list.slice(most))); }},
        `Show ${list.length - most} more`);
      holder.append(button);
    }
  };
}

/* --- Everything together ----------------------------------------------------------------------- */

let parts = [];
const update = () => parts.forEach(draw => draw());
function select(pass, node) {
  state.pass = pass;
  state.node = node;
  update();
  const open = document.querySelector('tr.more');
  if (node !== null && open) open.previousSibling.scrollIntoView({block: 'center'});
}

verdict();
firstBad();
device();
parts = [passes(), picture(), nodes(), maps()];
if (report.passes.some(p => p.nodes.length > 1)) parts.push(overview(), depth());
else ['overview', 'depth'].forEach(id => { at(id).hidden = true; });
update();
at('foot').append('lapilli ' + report.version + '. The data of this page is one JSON document inside it, the same as lapilli check --json prints.');
let timer = 0;
const again = () => { clearTimeout(timer); timer = setTimeout(update, 120); };
addEventListener('resize', again);
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => {
  again();
  at('bad').replaceChildren();
  firstBad();
});
})();
