"use strict";
(() => {
  const D = JSON.parse(document.getElementById("data").textContent);
  const $ = (id) => document.getElementById(id);
  const GOOD = new Set(["success", "running", "pending", "held"]);
  const SPAN = Math.max(D.end - D.start, 1e-3);

  // --- texts

  /** An element with texts and elements in it; nothing of the data is ever taken as HTML. */
  function el(tag, attributes, ...inside) {
    const made = document.createElement(tag);
    for (const [key, value] of Object.entries(attributes || {})) {
      if (value === undefined || value === null || value === false) continue;
      if (key === "onclick") made.addEventListener("click", value);
      else if (key === "color") made.style.setProperty("--c", value);
      else made.setAttribute(key, value === true ? "" : value);
    }
    made.append(...inside.flat(9).filter((one) => one !== null && one !== undefined && one !== ""));
    return made;
  }
  const pad = (n, to = 2) => String(n).padStart(to, "0");
  const grouped = (n) => String(n).replace(/\B(?=(\d{3})+(?!\d))/g, "\u202f");
  function num(x) {
    if (x === null || x === undefined) return "–";
    if (Number.isInteger(x) && Math.abs(x) < 1e15) return grouped(x);
    const size = Math.abs(x);
    if (size >= 1e6 || size < 1e-3) return x.toExponential(2);
    const [whole, rest] = x.toPrecision(size >= 1000 ? 6 : 4).split(".");
    return grouped(whole) + (rest && Number(rest) ? "." + rest.replace(/0+$/, "") : "");
  }
  function lasts(s) {
    if (s === null || s === undefined) return "–";
    if (s < 0) return "−" + lasts(-s);
    if (s < 1e-3) return s === 0 ? "0 s" : `${(s * 1e6).toFixed(0)} µs`;
    if (s < 1) return `${+(s * 1e3).toPrecision(3)} ms`;
    if (s < 60) return `${+s.toPrecision(3)} s`;
    const whole = Math.round(s);
    if (whole < 3600) return `${Math.floor(whole / 60)}m ${pad(whole % 60)}s`;
    if (whole < 86400) return `${Math.floor(whole / 3600)}h ${pad(Math.floor((whole % 3600) / 60))}m`;
    return `${Math.floor(whole / 86400)}d ${pad(Math.floor((whole % 86400) / 3600))}h`;
  }
  const since = (s) => (s === null || s === undefined ? "–" : "+" + lasts(s));
  function clock(epoch, fine) {
    if (epoch === null || epoch === undefined) return "–";
    const d = new Date(epoch * 1000);
    const day = `${d.getFullYear()}-${pad(d.getMonth() + 1)}-${pad(d.getDate())}`;
    return `${day} ${pad(d.getHours())}:${pad(d.getMinutes())}:${pad(d.getSeconds())}${fine ? "." + pad(d.getMilliseconds(), 3) : ""}`;
  }
  const zone = (() => {
    const minutes = -new Date(D.start * 1000).getTimezoneOffset();
    return `UTC${minutes < 0 ? "−" : "+"}${pad(Math.floor(Math.abs(minutes) / 60))}:${pad(Math.abs(minutes) % 60)}`;
  })();
  const color = (name) => getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();
  const chip = (kind, text) => el("span", { class: "chip", color: `var(--${kind})` }, text || kind);

  // --- the jobs, from their columns

  const J = D.jobs;
  const N = J.n;
  const at = (column, i) => (Array.isArray(column) ? column[i] : column.all);
  const sub = new Float64Array(N), beg = new Float64Array(N), fin = new Float64Array(N);
  const began = new Uint8Array(N), over = new Uint8Array(N), kind = new Uint8Array(N), again = new Uint8Array(N);
  let sum = 0;
  for (let i = 0; i < N; i++) {
    sum += at(J.submitted, i);
    const wait = at(J.wait, i), run = at(J.run, i);
    sub[i] = sum * J.unit;
    began[i] = wait >= 0 ? 1 : 0;
    over[i] = run >= 0 ? 1 : 0;
    beg[i] = wait >= 0 ? (sum + wait) * J.unit : run >= 0 ? (sum + run) * J.unit : SPAN;
    fin[i] = run >= 0 ? (sum + Math.max(0, wait) + run) * J.unit : SPAN;
    kind[i] = at(J.outcome, i);
    again[i] = at(J.again, i);
  }
  const nameOf = (i) => `${J.groups[at(J.group, i)]}.${at(J.number, i)}`;
  const hostOf = (i) => J.hosts[at(J.host, i)];
  const kindOf = (i) => D.outcomes[kind[i]];
  const reasonOf = (i) => (at(J.reason, i) ? J.reasons[at(J.reason, i) - 1] : "");
  const bad = D.outcomes.map((name) => !GOOD.has(name));
  const BAD = [];
  for (let i = 0; i < N; i++) if (bad[kind[i]]) BAD.push(i);
  BAD.sort((a, b) => fin[a] - fin[b]);

  // --- tables

  /** A table with a header; `cells` gives a row's cells as [content, class]; long ones come in parts. */
  function table(caption, head, rows, cells, step = 50) {
    const body = el("tbody");
    const box = el("div", { class: "scroll", tabindex: rows.length ? "0" : undefined, role: "region", "aria-label": caption });
    const row = (h) => el("th", { scope: "col", class: h[1] }, h[0]);
    box.append(el("table", { "aria-label": caption }, el("thead", {}, el("tr", {}, head.map(row))), body));
    let shown = 0;
    const more = el("button", { class: "more" });
    function grow(to) {
      for (; shown < Math.min(to, rows.length); shown++) {
        const line = el("tr");
        cells(rows[shown], shown).forEach((cell, column) => {
          const [inside, name] = Array.isArray(cell) ? cell : [cell, ""];
          line.append(el(column ? "td" : "th", { class: name, scope: column ? undefined : "row" }, inside));
        });
        body.append(line);
      }
      more.hidden = shown >= rows.length;
      more.textContent = `Show ${num(Math.min(step * 4, rows.length - shown))} more of ${num(rows.length - shown)}`;
    }
    more.addEventListener("click", () => grow(shown + step * 4));
    grow(step);
    return el("div", {}, box, more);
  }
  const none = (text) => el("p", { class: "soft" }, text);

  // --- the head of the page

  const total = {};
  for (const group of D.groups) for (const [key, n] of Object.entries(group.counts)) total[key] = (total[key] || 0) + n;
  const failed = Object.entries(total).reduce((n, [key, m]) => n + (bad[D.outcomes.indexOf(key)] ? m : 0), 0);
  $("title").textContent = D.run.file === "-" ? "Ensemble from stdin" : D.run.file || "Ensemble";
  const look = D.state.met === true ? ["ok", "met its rules"] : D.state.met === false ? ["no", "did not meet its rules"]
    : { running: ["go", "running"], elsewhere: ["go", "running elsewhere"], dead: ["no", "its process is gone"], stopped: ["no", "stopped"] }[D.state.word] || ["go", D.state.word];
  const said = D.state.text.replace(/: it (met|did not meet) its rules$/, "");
  $("verdict").append(el("span", { class: "badge " + look[0] }, look[1]), el("span", {}, said));
  const ended = D.ended !== null;
  for (const [term, text] of [
    ["started", `${clock(D.start)} (${zone})`], [ended ? "ended" : "seen until", clock(D.end)], ["took", ended ? lasts(SPAN) : ""],
    ["member", D.run.member], ["run", D.run.run], ["version", D.run.version], ["from", D.run.cwd], ["directory", D.folder],
  ]) if (text) $("facts").append(el("div", {}, el("dt", {}, term), el("dd", {}, text)));

  function tile(value, text, href, name) {
    const inside = [el("b", {}, value), el("span", {}, text)];
    $("tiles").append(el("li", { class: name }, href ? el("a", { href }, inside) : inside));
  }
  tile(num(total.jobs || 0), "jobs");
  tile(num(total.success || 0), "succeeded");
  tile(num(failed), "did not succeed", D.causes.total ? "#s-bad" : "", failed ? "bad" : "");
  if (total.retried) tile(num(total.retried), "attempts tried again");
  if (!ended) tile(num(total.running || 0), `running, ${num((total.pending || 0) + (total.held || 0))} wait`);
  tile(lasts(SPAN), ended ? "from start to end" : "since the start");
  if (D.cores) tile(`${num(+((100 * D.use.total) / (D.cores * SPAN)).toFixed(1))} %`, `of ${num(D.cores)} cores used`);
  const hours = D.use.total / 3600;
  tile(hours >= 0.1 ? num(+hours.toPrecision(4)) : num(+D.use.total.toPrecision(4)), hours >= 0.1 ? "core-hours" : "core-seconds");
  const done = (total.success || 0) + failed, rate = done / SPAN;
  if (done) tile(rate >= 1 ? num(+rate.toPrecision(3)) : num(+(rate * 60).toPrecision(3)), rate >= 1 ? "jobs a second" : "jobs a minute");

  // --- groups

  const columns = ["held", "pending", "running", "success", "failed", "timeout", "exception", "lost", "cancelled", "retried"].filter((key) => total[key]);
  const count = (group, key) => {
    const n = group.counts[key] || 0;
    return [n ? num(n) : "0", `n ${!n ? "zero" : bad[D.outcomes.indexOf(key)] ? "badn" : ""}`];
  };
  const spread = (three) => (three ? [lasts(three[0]), lasts(three[1])] : ["–", "–"]);
  $("groups").append(D.groups.length ? table("Groups of jobs",
    [["group"], ["jobs", "n"], ...columns.map((key) => [key, "n"]), ["waited, median", "n"], ["95 %", "n"], ["ran, median", "n"], ["95 %", "n"], ["core-h", "n"]],
    D.groups, (group) => [
      [[group.name, group.command ? el("div", { class: "mono command", title: group.command }, group.command) : ""], "w"], [num(group.counts.jobs || 0), "n"], ...columns.map((key) => count(group, key)),
      ...spread(group.wait).map((text) => [text, "n"]), ...spread(group.took).map((text) => [text, "n"]),
      [num(+(group.busy / 3600).toPrecision(3)), "n"],
    ]) : none("No job has been submitted yet."));

  // --- time: one window for all pictures

  const view = { t0: 0, t1: SPAN, r0: 0, r1: Math.max(1, N) };
  const LEFT = 92, RIGHT = 14;
  const painters = [];
  let waiting = false, C = {};
  function redraw() {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => { waiting = false; for (const paint of painters) paint(); });
  }
  function colors() {
    C = {};
    for (const name of ["ink", "soft", "faint", "line", "band", "card", "mark", "focus", ...D.outcomes]) C[name] = color(name);
  }
  /** A canvas made as sharp as the screen; its context and its size in CSS pixels. */
  function ready(canvas) {
    const ratio = window.devicePixelRatio || 1;
    const w = canvas.clientWidth, h = canvas.clientHeight;
    if (canvas.width !== Math.round(w * ratio) || canvas.height !== Math.round(h * ratio)) {
      canvas.width = Math.round(w * ratio);
      canvas.height = Math.round(h * ratio);
    }
    const g = canvas.getContext("2d");
    g.setTransform(ratio, 0, 0, ratio, 0, 0);
    g.clearRect(0, 0, w, h);
    g.font = "11.5px system-ui, 'DejaVu Sans', sans-serif";
    return { g, w, h, ratio };
  }
  const STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400];
  function timeStep(span, most) {
    const raw = span / most;
    if (raw >= 86400) return Math.ceil(raw / 86400) * 86400;
    if (raw > 0.5) return STEPS.find((step) => step >= raw);
    return niceStep(raw);
  }
  function niceStep(raw) {
    const power = 10 ** Math.floor(Math.log10(raw));
    return power * [1, 2, 5, 10].find((n) => n * power >= raw * 0.999999);
  }
  function axisText(s, step) {
    if (s === 0) return "start";
    if (step < 1) return `${+s.toFixed(Math.max(0, -Math.floor(Math.log10(step))))} s`;
    s = Math.round(s);
    const d = Math.floor(s / 86400), h = Math.floor((s % 86400) / 3600), m = Math.floor((s % 3600) / 60), r = s % 60;
    if (d) return [`${d}d`, h || m ? `${h}h` : "", m ? `${pad(m)}m` : ""].filter(Boolean).join(" ");
    if (h) return [`${h}h`, m || r ? `${pad(m)}m` : "", r ? `${pad(r)}s` : ""].filter(Boolean).join(" ");
    return r ? `${m ? `${m}m ` : ""}${m ? pad(r) : r}s` : `${m}m`;
  }
  const xOf = (t, w) => LEFT + ((t - view.t0) / (view.t1 - view.t0)) * (w - LEFT - RIGHT);
  const tOf = (x, w) => view.t0 + ((x - LEFT) / (w - LEFT - RIGHT)) * (view.t1 - view.t0);
  function timeAxis(g, w, top, bottom) {
    const step = timeStep(view.t1 - view.t0, Math.max(2, (w - LEFT - RIGHT) / 95));
    g.textAlign = "center";
    g.textBaseline = "top";
    for (let t = Math.ceil(view.t0 / step - 1e-9) * step; t <= view.t1 + step * 1e-6; t += step) {
      const x = Math.round(xOf(t, w)) + 0.5;
      g.strokeStyle = C.line;
      g.lineWidth = 1;
      g.beginPath(); g.moveTo(x, top); g.lineTo(x, bottom); g.stroke();
      g.fillStyle = C.soft;
      const text = axisText(Math.abs(t) < step * 1e-6 ? 0 : t, step), half = g.measureText(text).width / 2;
      g.fillText(text, Math.min(Math.max(x, LEFT + half - 4), w - half - 1), bottom + 5);
    }
  }
  /** Where rules fired; with `flags`, their numbers above. */
  function firings(g, w, top, bottom, flags) {
    g.save();
    let free = -99;
    const named = new Set();
    const seen = new Uint8Array(Math.ceil(w) + 2);
    const many = FIRED.filter((one) => one.t >= view.t0 && one.t <= view.t1).length > 60;
    g.strokeStyle = g.fillStyle = C.mark;
    for (const one of FIRED) {
      if (one.t < view.t0 || one.t > view.t1) continue;
      const x = Math.round(xOf(one.t, w)) + 0.5;
      if (seen[Math.floor(x)]) continue;
      seen[Math.floor(x)] = 1;
      g.globalAlpha = 0.8;
      g.setLineDash(many ? [] : [3, 3]);
      g.beginPath(); g.moveTo(x, many ? top - 5 : top); g.lineTo(x, many ? top : bottom); g.stroke();
      g.globalAlpha = 1;
      if (flags && !(many && named.has(one.rule))) {
        named.add(one.rule);
        const text = String(one.rule), wide = Math.max(14, g.measureText(text).width + 8);
        if (x - wide / 2 > free) {
          g.fillStyle = C.mark;
          g.beginPath();
          if (g.roundRect) g.roundRect(x - wide / 2, top - 20, wide, 14, 4); else g.rect(x - wide / 2, top - 20, wide, 14);
          g.fill();
          g.fillStyle = C.card; g.textAlign = "center"; g.textBaseline = "middle";
          g.fillText(text, x, top - 12.5);
          g.fillStyle = C.mark;
          free = x + wide / 2 + 2;
        }
      }
    }
    g.restore();
  }
  const FIRED = [];
  {
    let last = null;
    for (const [t, rule, shown, action, label] of D.decisions.rows) {
      if (rule < 0) continue;
      const what = `${D.decisions.actions[action]} ${D.decisions.labels[label]}`.trim();
      if (last && last.t === t && last.rule === rule) last.what += ", " + what;
      else FIRED.push((last = { t, rule, shown: D.decisions.shown[shown], what }));
    }
  }
  function firedNear(x, w) {
    return FIRED.filter((one) => one.t >= view.t0 && one.t <= view.t1 && Math.abs(xOf(one.t, w) - x) <= 4);
  }
  const tip = $("tip");
  function showTip(event, lines) {
    if (!lines.length) { tip.hidden = true; return; }
    tip.replaceChildren(...lines.slice(0, 9).map((line, n) => el(n ? "div" : "b", {}, line)));
    tip.hidden = false;
    const box = tip.getBoundingClientRect();
    const left = event.clientX + 16 + box.width > innerWidth ? event.clientX - box.width - 14 : event.clientX + 16;
    const top = event.clientY + 18 + box.height > innerHeight ? event.clientY - box.height - 12 : event.clientY + 18;
    tip.style.left = `${Math.max(4, left)}px`;
    tip.style.top = `${Math.max(4, top)}px`;
  }
  const firedLines = (list) => list.slice(0, 3).map((one) => `rule ${one.rule}: ${one.shown} → ${one.what} (${since(one.t)})`)
    .concat(list.length > 3 ? [`and ${num(list.length - 3)} more firings`] : []);

  // --- the timeline

  const time = $("time");
  const TOP = 24, BOTTOM = 24;
  const ORDERS = {
    group: ["group", (i) => at(J.group, i), (i) => J.groups[at(J.group, i)]],
    start: ["submission", () => 0, () => ""],
    host: ["node", (i) => at(J.host, i), (i) => hostOf(i) || "(none)"],
    kind: ["outcome", (i) => kind[i], (i) => kindOf(i)],
  };
  let row = new Uint32Array(N), jobAt = new Uint32Array(N), bands = [], chosen = -1;
  function arrange(name) {
    const [, key, label] = ORDERS[name];
    const keys = new Int32Array(N);
    for (let i = 0; i < N; i++) keys[i] = key(i);
    const ranks = new Map();
    if (name === "host") {
      const collator = new Intl.Collator(undefined, { numeric: true });
      [...new Set(keys)].sort((a, b) => collator.compare(J.hosts[a], J.hosts[b])).forEach((k, n) => ranks.set(k, n));
      for (let i = 0; i < N; i++) keys[i] = ranks.get(keys[i]);
    }
    const when = name === "host" ? beg : sub;
    jobAt = Uint32Array.from({ length: N }, (_, i) => i).sort((a, b) => keys[a] - keys[b] || when[a] - when[b] || a - b);
    bands = [];
    jobAt.forEach((job, r) => {
      row[job] = r;
      if (!bands.length || keys[job] !== bands[bands.length - 1].key) bands.push({ key: keys[job], from: r, to: r, label: label(job) });
      bands[bands.length - 1].to = r + 1;
    });
    view.r0 = 0; view.r1 = Math.max(1, N);
    redraw();
  }
  const rowHeight = (h) => (h - TOP - BOTTOM) / (view.r1 - view.r0);
  const yOf = (r, h) => TOP + (r - view.r0) * rowHeight(h);
  let dragged = null;

  function paintTime() {
    const { g, w, h, ratio } = ready(time);
    const tall = rowHeight(h), right = w - RIGHT, bottom = h - BOTTOM;
    const r0 = Math.max(0, Math.floor(view.r0)), r1 = Math.min(N, Math.ceil(view.r1));
    bands.forEach((band, n) => {
      if (band.to <= view.r0 || band.from >= view.r1) return;
      const y0 = Math.max(TOP, yOf(band.from, h)), y1 = Math.min(bottom, yOf(band.to, h));
      if (n % 2 === 0) { g.fillStyle = C.band; g.fillRect(LEFT, y0, right - LEFT, y1 - y0); }
    });
    timeAxis(g, w, TOP, bottom);
    g.save();
    g.beginPath(); g.rect(LEFT, TOP, right - LEFT, bottom - TOP); g.clip();
    if (tall >= 2.2) paintRows(g, w, h, tall, r0, r1);
    else paintDensity(g, w, h, ratio, r0, r1);
    g.restore();
    firings(g, w, TOP, bottom, true);
    if (!D.ended && D.state.word !== "ended") {
      const x = xOf(SPAN, w);
      if (x >= LEFT && x <= right) { g.strokeStyle = C.running; g.beginPath(); g.moveTo(x, TOP); g.lineTo(x, bottom); g.stroke(); }
    }
    g.textAlign = "right"; g.textBaseline = "middle";
    let free = TOP;
    for (const band of bands) {
      if (band.to <= view.r0 || band.from >= view.r1) continue;
      const y0 = Math.max(TOP, yOf(band.from, h)), y1 = Math.min(bottom, yOf(band.to, h));
      const y = Math.max((y0 + y1) / 2, free + 6);
      if (y - 6 > y1 || y + 6 > bottom + 4) continue;
      g.fillStyle = C.ink;
      g.fillText(fitted(g, band.label || "all jobs", LEFT - 14), LEFT - 8, y);
      if (y1 - y > 16) { g.fillStyle = C.faint; g.fillText(grouped(band.to - band.from), LEFT - 8, y + 13); free = y + 20; } else free = y + 7;
    }
    if (dragged && dragged.select) {
      g.fillStyle = C.focus; g.globalAlpha = 0.18;
      g.fillRect(Math.min(dragged.x, dragged.nx), TOP, Math.abs(dragged.nx - dragged.x), bottom - TOP);
      g.globalAlpha = 1;
    }
    time.setAttribute("aria-label", `Timeline of ${num(N)} attempts from ${since(view.t0)} to ${since(view.t1)}, ${num(BAD.length)} of them did not succeed`);
  }
  function fitted(g, text, room) {
    if (g.measureText(text).width <= room) return text;
    while (text.length > 1 && g.measureText(text + "…").width > room) text = text.slice(0, -1);
    return text + "…";
  }
  function paintRows(g, w, h, tall, r0, r1) {
    const thick = tall > 4 ? Math.min(tall - 1, 22) : tall;
    for (let r = r0; r < r1; r++) {
      const i = jobAt[r];
      if (fin[i] < view.t0 || sub[i] > view.t1) continue;
      const y = yOf(r, h) + (tall - thick) / 2, x0 = xOf(sub[i], w), x1 = xOf(beg[i], w), x2 = xOf(fin[i], w);
      const left = Math.max(LEFT, x0);
      g.fillStyle = C.pending;
      g.globalAlpha = 0.75;
      const thin = Math.max(1, Math.min(3, thick / 4));
      if (x1 > left) g.fillRect(left, y + (thick - thin) / 2, Math.max(1, x1 - left), thin);
      g.globalAlpha = 1;
      g.fillStyle = C[kindOf(i)];
      if (began[i]) {
        const from = Math.max(LEFT - 2, x1);
        g.fillRect(from, y, Math.max(bad[kind[i]] ? 3 : 1.5, x2 - from), thick);
        if (again[i]) { g.fillStyle = C.card; g.globalAlpha = 0.45; g.fillRect(from, y, Math.max(1.5, x2 - from), thick / 2); g.globalAlpha = 1; }
        if (thick >= 13 && x2 - from > 46) {
          g.fillStyle = C.card; g.textAlign = "left"; g.textBaseline = "middle";
          g.fillText(fitted(g, nameOf(i), Math.min(x2, w - RIGHT) - from - 10), from + 5, y + thick / 2 + 0.5);
        }
      } else if (over[i]) g.fillRect(x2 - 2, y, 4, thick);
      if (i === chosen) { g.strokeStyle = C.ink; g.lineWidth = 2; g.strokeRect(Math.max(LEFT + 1, x0 - 2), y - 1, Math.max(6, x2 - Math.max(LEFT, x0) + 3), thick + 2); g.lineWidth = 1; }
    }
  }
  const rgb = (text) => { const n = parseInt(text.slice(1), 16); return [n >> 16, (n >> 8) & 255, n & 255]; };
  /** Many jobs a pixel: how much of each pixel's jobs wait, run or ran well; what failed is always on top. */
  function paintDensity(g, w, h, ratio, r0, r1) {
    const W = Math.max(1, Math.floor((w - LEFT - RIGHT) * ratio)), H = Math.max(1, Math.floor((h - TOP - BOTTOM) * ratio));
    const good = D.outcomes.indexOf("running"), soft = D.outcomes.indexOf("cancelled");
    const layers = [0, 1, 2, 3].map(() => new Int32Array((W + 1) * H));
    const scale = W / (view.t1 - view.t0), perRow = H / (view.r1 - view.r0);
    const hits = [];
    for (let r = r0; r < r1; r++) {
      const i = jobAt[r];
      if (fin[i] < view.t0 || sub[i] > view.t1) continue;
      const y = Math.min(H - 1, Math.floor((r - view.r0) * perRow));
      if (y < 0) continue;
      const from = y * (W + 1);
      const clamp = (t) => Math.max(0, Math.min(W, Math.round((t - view.t0) * scale)));
      const a = clamp(sub[i]), b = clamp(beg[i]);
      let c = clamp(fin[i]);
      if (b > a) { layers[0][from + a]++; layers[0][from + b]--; }
      if (bad[kind[i]] && kind[i] !== soft) { hits.push(i, y, b, c); continue; }
      if (!began[i] && !over[i]) continue;
      if (c <= b) c = Math.min(W, b + 1);
      const layer = layers[kind[i] === good ? 2 : kind[i] === soft ? 3 : 1];
      layer[from + b]++; layer[from + c]--;
    }
    const image = g.createImageData(W, H), px = image.data;
    const inks = [rgb(C.pending), rgb(C.success), rgb(C.running), rgb(C.cancelled)];
    const full = Math.max(1, (view.r1 - view.r0) / H);
    for (let y = 0; y < H; y++) {
      const cover = [0, 0, 0, 0];
      for (let x = 0; x < W; x++) {
        let all = 0, red = 0, green = 0, blue = 0;
        for (let k = 0; k < 4; k++) {
          cover[k] += layers[k][y * (W + 1) + x];
          const n = cover[k] * (k ? 1 : 0.16);
          all += n; red += n * inks[k][0]; green += n * inks[k][1]; blue += n * inks[k][2];
        }
        if (all <= 0) continue;
        const p = (y * W + x) * 4;
        px[p] = red / all; px[p + 1] = green / all; px[p + 2] = blue / all;
        px[p + 3] = 255 * Math.min(1, 0.12 + 0.88 * Math.sqrt(all / full));
      }
    }
    const sheet = document.createElement("canvas");
    sheet.width = W; sheet.height = H;
    const s = sheet.getContext("2d");
    s.putImageData(image, 0, 0);
    const crowd = hits.length / 4 > 3000;
    for (let n = 0; n < hits.length; n += 4) {
      s.fillStyle = C[kindOf(hits[n])];
      const least = (crowd ? 1.5 : 3) * ratio;
      s.fillRect(Math.min(hits[n + 2], W - least), hits[n + 1] - (crowd ? 0 : ratio / 2), Math.max(least, hits[n + 3] - hits[n + 2]), crowd ? ratio : 2 * ratio);
    }
    if (chosen >= 0) {
      const y = (row[chosen] - view.r0) * perRow, x = (sub[chosen] - view.t0) * scale;
      s.strokeStyle = C.ink; s.lineWidth = 2 * ratio;
      s.strokeRect(x - 4 * ratio, y - 5 * ratio, Math.max(8 * ratio, (fin[chosen] - sub[chosen]) * scale + 8 * ratio), 10 * ratio);
    }
    g.drawImage(sheet, LEFT, TOP, w - LEFT - RIGHT, h - TOP - BOTTOM);
  }

  function clampView() {
    const least = Math.max(SPAN * 1e-6, J.unit * 10);
    const span = Math.min(SPAN, Math.max(least, view.t1 - view.t0));
    view.t0 = Math.max(0, Math.min(view.t0, SPAN - span));
    view.t1 = view.t0 + span;
    const all = Math.max(1, N), rows = Math.min(all, Math.max(Math.min(12, all), view.r1 - view.r0));
    view.r0 = Math.max(0, Math.min(view.r0, all - rows));
    view.r1 = view.r0 + rows;
  }
  function zoom(factor, tx, ry, rows = true) {
    view.t0 = tx - (tx - view.t0) * factor; view.t1 = tx + (view.t1 - tx) * factor;
    if (rows) { view.r0 = ry - (ry - view.r0) * factor; view.r1 = ry + (view.r1 - ry) * factor; }
    clampView(); redraw();
  }
  function move(dt, dr) {
    const span = view.t1 - view.t0, rows = view.r1 - view.r0;
    view.t0 += dt * span; view.t1 = view.t0 + span; view.r0 += dr * rows; view.r1 = view.r0 + rows;
    clampView(); redraw();
  }
  function all() { Object.assign(view, { t0: 0, t1: SPAN, r0: 0, r1: Math.max(1, N) }); redraw(); }
  const middle = () => [(view.t0 + view.t1) / 2, (view.r0 + view.r1) / 2];

  function jobNear(x, y) {
    const w = time.clientWidth, h = time.clientHeight;
    if (x < LEFT || x > w - RIGHT || y < TOP || y > h - BOTTOM || !N) return -1;
    const t = tOf(x, w), tall = rowHeight(h), slack = ((view.t1 - view.t0) / (w - LEFT - RIGHT)) * 4;
    const middleRow = view.r0 + (y - TOP) / tall, reach = Math.max(0.5, 3.5 / tall);
    let best = -1, score = Infinity;
    for (let r = Math.max(0, Math.floor(middleRow - reach)); r <= Math.min(N - 1, Math.floor(middleRow + reach)); r++) {
      const i = jobAt[r];
      if (t < sub[i] - slack || t > fin[i] + slack) continue;
      const cost = Math.abs(r + 0.5 - middleRow) + (tall < 2.2 && bad[kind[i]] ? -reach * 2 : 0) + (t < beg[i] ? 0.3 : 0);
      if (cost < score) { score = cost; best = i; }
    }
    return best;
  }
  function about(i) {
    const lines = [nameOf(i), kindOf(i) + (again[i] ? ", tried again" : "") + (reasonOf(i) ? `: ${reasonOf(i)}` : "")];
    lines.push(began[i] ? `waited ${lasts(beg[i] - sub[i])}, ${over[i] ? "ran" : "has run for"} ${lasts(fin[i] - beg[i])}` : over[i] ? `never ran, ended after ${lasts(fin[i] - sub[i])}` : `waits since ${lasts(fin[i] - sub[i])}`);
    lines.push(`submitted ${since(sub[i])} · ${clock(D.start + sub[i])}`);
    if (hostOf(i)) lines.push(`on ${hostOf(i)}, ${num(at(J.cores, i))} ${at(J.cores, i) === 1 ? "core" : "cores"}`);
    return lines;
  }
  function choose(i, go) {
    chosen = i;
    if (i < 0) { $("chosen").replaceChildren(); redraw(); return; }
    if (go) {
      const span = Math.min(SPAN, Math.max((fin[i] - sub[i]) * 2, (fin[i] - beg[i]) * 8, SPAN * 1e-4));
      const rows = Math.min(Math.max(1, N), Math.max(24, Math.min(view.r1 - view.r0, 40)));
      const mid = (sub[i] + fin[i]) / 2;
      Object.assign(view, { t0: mid - span / 2, t1: mid + span / 2, r0: row[i] + 0.5 - rows / 2, r1: row[i] + 0.5 + rows / 2 });
      clampView();
    }
    const facts = [
      ["outcome", [chip(kindOf(i)), again[i] ? " (tried again)" : ""]], ["reason", reasonOf(i)], ["id", at(J.id, i) || ""], ["node", hostOf(i)],
      ["cores", num(at(J.cores, i))], ["submitted", `${since(sub[i])}, ${clock(D.start + sub[i], true)}`],
      ["started", began[i] ? `${since(beg[i])}, ${clock(D.start + beg[i], true)} (waited ${lasts(beg[i] - sub[i])})` : "never"],
      [over[i] ? "ended" : "until now", `${since(fin[i])}, ${clock(D.start + fin[i], true)}${began[i] ? ` (ran ${lasts(fin[i] - beg[i])})` : ""}`],
    ];
    $("chosen").replaceChildren(
      el("b", {}, nameOf(i)),
      el("dl", {}, facts.filter((fact) => fact[1] && fact[1].length).map(([term, text]) => [el("dt", {}, term), el("dd", {}, text)])),
      ...output(nameOf(i), bad[kind[i]]),
    );
    redraw();
  }
  function output(name, wanted) {
    const tail = Object.hasOwn(D.tails, name) ? D.tails[name] : null;
    if (!tail) return wanted ? [el("p", { class: "err" }, "its output: ", el("code", {}, `ensemble logs ${D.folder} ${name} --err`))] : [];
    const part = (title, text) => (text.trim() ? [el("div", { class: "err" }, `end of ${title}`), el("pre", {}, text)] : []);
    const made = [...part("stderr", tail[1]), ...part("stdout", tail[0])];
    return made.length ? made : [el("p", { class: "err" }, "it wrote nothing")];
  }
  function hop(step) {
    if (!BAD.length) return;
    let n = BAD.indexOf(chosen);
    if (n < 0) n = step > 0 ? -1 : 0;
    n = (n + step + BAD.length) % BAD.length;
    choose(BAD[n], true);
    $("said").textContent = `${num(n + 1)} of ${num(BAD.length)}`;
  }
  function find(text) {
    text = text.trim().toLowerCase();
    if (!text) { $("said").textContent = ""; return; }
    let first = -1, exact = -1, found = 0;
    for (let i = 0; i < N; i++) {
      const name = nameOf(i).toLowerCase();
      if (name === text) exact = i;
      if (name.includes(text) || hostOf(i).toLowerCase().includes(text) || String(at(J.id, i)).toLowerCase().includes(text)) {
        found++;
        if (first < 0) first = i;
      }
    }
    $("said").textContent = found ? `${num(found)} found` : "nothing found";
    if (found) choose(exact >= 0 ? exact : first, true);
  }

  function inPlot(event) {
    const box = time.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  }
  time.addEventListener("wheel", (event) => {
    if (event.ctrlKey) return;
    const [x, y] = inPlot(event);
    if (x < LEFT) return;
    event.preventDefault();
    const h = time.clientHeight;
    const amount = Math.max(-1, Math.min(1, event.deltaY / 120));
    zoom(Math.exp(amount * 0.28), tOf(x, time.clientWidth), view.r0 + (y - TOP) / rowHeight(h), !event.altKey);
  }, { passive: false });
  time.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    const [x, y] = inPlot(event);
    dragged = { x, y, nx: x, from: { ...view }, moved: false, select: event.shiftKey };
    time.setPointerCapture(event.pointerId);
  });
  time.addEventListener("pointermove", (event) => {
    const [x, y] = inPlot(event);
    const w = time.clientWidth, h = time.clientHeight;
    if (!dragged) {
      const job = jobNear(x, y);
      showTip(event, job >= 0 ? about(job) : firedLines(firedNear(x, w)));
      return;
    }
    tip.hidden = true;
    if (Math.abs(x - dragged.x) + Math.abs(y - dragged.y) > 4) dragged.moved = true;
    if (!dragged.moved) return;
    dragged.nx = x;
    if (!dragged.select) {
      time.classList.add("drag");
      const f = dragged.from, dt = ((x - dragged.x) / (w - LEFT - RIGHT)) * (f.t1 - f.t0), dr = ((y - dragged.y) / (h - TOP - BOTTOM)) * (f.r1 - f.r0);
      Object.assign(view, { t0: f.t0 - dt, t1: f.t1 - dt, r0: f.r0 - dr, r1: f.r1 - dr });
      clampView();
    }
    redraw();
  });
  time.addEventListener("pointerup", (event) => {
    const was = dragged;
    dragged = null;
    time.classList.remove("drag");
    if (!was) return;
    if (!was.moved) choose(jobNear(...inPlot(event)), false);
    else if (was.select && Math.abs(was.nx - was.x) > 5) {
      const w = time.clientWidth, a = tOf(Math.min(was.x, was.nx), w), b = tOf(Math.max(was.x, was.nx), w);
      let low = Infinity, high = -1;
      for (let i = 0; i < N; i++) if (fin[i] >= a && beg[i] <= b) { low = Math.min(low, row[i]); high = Math.max(high, row[i]); }
      Object.assign(view, { t0: a, t1: b }, high >= 0 ? { r0: low, r1: high + 1 } : {});
      clampView();
    }
    redraw();
  });
  time.addEventListener("pointercancel", () => { dragged = null; time.classList.remove("drag"); redraw(); });
  time.addEventListener("pointerleave", () => { tip.hidden = true; });
  time.addEventListener("dblclick", (event) => {
    const [x, y] = inPlot(event);
    zoom(0.4, tOf(x, time.clientWidth), view.r0 + (y - TOP) / rowHeight(time.clientHeight));
  });
  time.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const keys = {
      ArrowLeft: () => move(-0.15, 0), ArrowRight: () => move(0.15, 0), ArrowUp: () => move(0, -0.15), ArrowDown: () => move(0, 0.15),
      "+": () => zoom(0.7, ...middle()), "=": () => zoom(0.7, ...middle()), "-": () => zoom(1 / 0.7, ...middle()), "0": all, Home: all,
      n: () => hop(1), p: () => hop(-1), Escape: () => choose(-1),
    };
    if (Object.hasOwn(keys, event.key)) { event.preventDefault(); keys[event.key](); }
  });
  for (const [name, [text, key]] of Object.entries(ORDERS)) {
    let several = name === "group" || name === "start" ? N > 0 : false;
    for (let i = 1; i < N && !several; i++) several = key(i) !== key(0);
    if (several) $("order").append(el("option", { value: name }, text));
  }
  $("order").value = J.groups.length > 1 && J.groups.length <= 40 ? "group" : "start";
  $("order").addEventListener("change", () => arrange($("order").value));
  $("in").addEventListener("click", () => zoom(0.6, ...middle()));
  $("out").addEventListener("click", () => zoom(1 / 0.6, ...middle()));
  $("all").addEventListener("click", all);
  $("prev").addEventListener("click", () => hop(-1));
  $("next").addEventListener("click", () => hop(1));
  $("hops").hidden = !BAD.length;
  let typing = 0;
  $("find").addEventListener("input", () => { clearTimeout(typing); typing = setTimeout(() => find($("find").value), 250); });
  $("find").addEventListener("keydown", (event) => { if (event.key === "Enter") { clearTimeout(typing); find($("find").value); } });
  const there = new Set(kind);
  D.outcomes.forEach((name, n) => { if (there.has(n)) $("legend").append(el("span", { class: "key", color: `var(--${name})` }, name)); });
  if (N && !there.has(D.outcomes.indexOf("pending"))) $("legend").append(el("span", { class: "key", color: "var(--pending)" }, "waiting"));
  if (again.includes(1)) $("legend").append(el("span", {}, "pale above: tried again"));
  if (FIRED.length) $("legend").append(el("span", { class: "key mark" }, "a rule fired (its number)"));
  if (J.n < J.of) $("legend").before(el("p", { class: "note" }, `${num(J.n)} of ${num(J.of)} attempts are drawn: what did not succeed first, and an even sample of the rest. All figures count all of them.`));
  if (D.forgotten) $("legend").before(el("p", { class: "note" }, `${num(D.forgotten)} older attempts, which had ended, are no longer kept one by one: nothing here but the metrics counts them.`));
  $("s-time").hidden = !N;

  // --- use of the cores

  const use = $("use"), U = D.use;
  function paintUse() {
    const { g, w, h } = ready(use);
    const top = 26, bottom = h - 22, right = w - RIGHT;
    const from = Math.max(0, Math.floor(view.t0 / U.width)), to = Math.min(U.busy.length, Math.ceil(view.t1 / U.width));
    let most = D.cores || 0, queue = 0;
    for (let k = 0; k < U.busy.length; k++) { if (!D.cores || U.busy[k] > most) most = Math.max(most, U.busy[k]); }
    for (let k = from; k < to; k++) queue = Math.max(queue, U.waiting[k]);
    most = Math.max(1, most);
    g.textBaseline = "middle"; g.textAlign = "right";
    const step = niceStep(most / 2.5), y = (v) => bottom - (v / most) * (bottom - top);
    for (let v = 0; v <= most * 1.001; v += step) {
      g.strokeStyle = C.line; g.beginPath(); g.moveTo(LEFT, Math.round(y(v)) + 0.5); g.lineTo(right, Math.round(y(v)) + 0.5); g.stroke();
      g.fillStyle = C.soft; g.fillText(num(v), LEFT - 8, y(v));
    }
    timeAxis(g, w, top, bottom);
    g.save();
    g.beginPath(); g.rect(LEFT, top - 2, right - LEFT, bottom - top + 2); g.clip();
    const line = (values, scale) => {
      g.beginPath();
      for (let k = from; k < to; k++) {
        const v = bottom - (values[k] / scale) * (bottom - top);
        g.lineTo(xOf(k * U.width, w), v); g.lineTo(xOf((k + 1) * U.width, w), v);
      }
    };
    line(U.busy, most);
    g.lineTo(xOf(to * U.width, w), bottom); g.lineTo(xOf(from * U.width, w), bottom); g.closePath();
    g.fillStyle = C.running; g.globalAlpha = 0.3; g.fill(); g.globalAlpha = 1;
    line(U.busy, most); g.strokeStyle = C.running; g.lineWidth = 1.5; g.stroke();
    if (queue > 0) { line(U.waiting, queue * 1.05); g.strokeStyle = C.timeout; g.lineWidth = 1.2; g.stroke(); }
    if (D.cores) { g.strokeStyle = C.faint; g.setLineDash([5, 4]); g.lineWidth = 1; g.beginPath(); g.moveTo(LEFT, Math.round(y(D.cores)) + 0.5); g.lineTo(right, Math.round(y(D.cores)) + 0.5); g.stroke(); g.setLineDash([]); }
    g.restore();
    firings(g, w, top, bottom, false);
    g.textAlign = "left"; g.textBaseline = "top";
    tag(g, LEFT, 3, [[C.running, D.cores ? `cores at work, of ${num(D.cores)}` : "cores at work"], ...(queue > 0 ? [[C.timeout, w < 560 ? `${num(+queue.toPrecision(3))} wait at most` : `jobs that wait (at most ${num(+queue.toPrecision(3))} here)`]] : [])]);
    use.setAttribute("aria-label", `Cores at work over time${D.cores ? `, of ${num(D.cores)}` : ""}, and the jobs that wait`);
  }
  function tag(g, x, y, entries) {
    for (const [ink, text] of entries) {
      const wide = g.measureText(text).width;
      g.fillStyle = ink; g.fillRect(x, y + 4, 10, 3);
      g.fillStyle = C.soft; g.fillText(text, x + 15, y);
      x += wide + 32;
    }
  }
  use.addEventListener("pointermove", (event) => {
    const x = event.clientX - use.getBoundingClientRect().left, w = use.clientWidth;
    const k = Math.floor(tOf(x, w) / U.width);
    if (x < LEFT || x > w - RIGHT || k < 0 || k >= U.busy.length) { tip.hidden = true; return; }
    showTip(event, [`${num(U.busy[k])} cores at work${D.cores ? `, ${((100 * U.busy[k]) / D.cores).toFixed(0)} %` : ""}`,
      `${num(U.running[k])} jobs run, ${num(U.waiting[k])} wait`, `${since(k * U.width)} · ${clock(D.start + k * U.width)}`, ...firedLines(firedNear(x, w))]);
  });
  use.addEventListener("pointerleave", () => { tip.hidden = true; });

  // --- metrics

  function paintSeries(canvas, one) {
    const { g, w, h } = ready(canvas);
    const top = 8, bottom = h - 22, right = w - RIGHT;
    let low = Infinity, high = -Infinity, n = 0;
    const seen = [];
    for (let k = 0; k < one.t.length; k++) {
      if (one.t[k] < view.t0 || one.t[k] > view.t1) continue;
      n++;
      seen.push(one.v[k]);
      low = Math.min(low, one.m[k]); high = Math.max(high, one.m[k]);
    }
    seen.sort((a, b) => a - b);
    // Single outliers would press all others into one line: what lies beyond is drawn at the edge, as a triangle.
    if (n) {
      const q = (p) => seen[Math.min(n - 1, Math.floor(p * n))], reach = Math.max((q(0.9) - q(0.1)) * 2.5, Math.abs(q(0.5)) * 1e-6);
      low = Math.min(low, Math.max(seen[0], q(0.1) - reach)); high = Math.max(high, Math.min(seen[n - 1], q(0.9) + reach));
    } else { low = 0; high = 1; }
    if (high - low < Math.max(1e-12, Math.abs(high) * 1e-9)) { const d = Math.abs(high) * 0.1 || 1; low -= d; high += d; }
    const margin = (high - low) * 0.07;
    const floor = low >= 0 && low - margin < (high - low) * 0.35 ? 0 : low - margin;
    low = low >= 0 ? Math.max(0, floor) : floor; high += margin;
    const y = (v) => bottom - ((v - low) / (high - low)) * (bottom - top);
    const step = one.time ? timeStep(high - low, 3.2) : niceStep((high - low) / 3.2);
    g.textAlign = "right"; g.textBaseline = "middle";
    for (let k = Math.ceil(low / step); k * step <= high; k++) {
      const v = k * step;
      g.strokeStyle = C.line; g.beginPath(); g.moveTo(LEFT, Math.round(y(v)) + 0.5); g.lineTo(right, Math.round(y(v)) + 0.5); g.stroke();
      g.fillStyle = C.soft; g.fillText(scaleText(v, step, one.time), LEFT - 8, y(v));
    }
    timeAxis(g, w, top, bottom);
    g.save();
    g.beginPath(); g.rect(LEFT, top - 4, right - LEFT, bottom - top + 8); g.clip();
    g.fillStyle = C.running; g.globalAlpha = n > 400 ? 0.35 : 0.6;
    const r = n > 400 ? 1.2 : 2;
    for (let k = 0; k < one.t.length; k++) {
      if (one.t[k] < view.t0 || one.t[k] > view.t1) continue;
      const x = xOf(one.t[k], w), v = one.v[k];
      g.beginPath();
      if (v > high || v < low) {
        const e = v > high ? top : bottom, d = v > high ? 5 : -5;
        g.moveTo(x, e); g.lineTo(x - 3, e + d); g.lineTo(x + 3, e + d);
      } else g.arc(x, y(v), r, 0, 6.3);
      g.fill();
    }
    g.globalAlpha = 1; g.strokeStyle = C.ink; g.lineWidth = 1.6; g.lineJoin = "round";
    g.beginPath();
    for (let k = 0; k < one.t.length; k++) g.lineTo(xOf(one.t[k], w), y(one.m[k]));
    g.stroke();
    g.restore();
    firings(g, w, top, bottom, false);
  }
  function scaleText(v, step, isTime) {
    if (isTime && step < 1 && v >= 1) return `${+v.toFixed(Math.ceil(-Math.log10(step)))} s`;
    return isTime ? lasts(+v.toPrecision(6)) : num(+v.toPrecision(Math.max(3, Math.ceil(Math.log10(Math.abs(v / step) || 1)) + 1)));
  }
  D.series.forEach((one) => {
    one.time = /-(duration|pending|pending-age|age)$/.test(one.name);
    const last = one.m.length - 1, shown = (v) => (one.time ? lasts(v) : num(v));
    const canvas = el("canvas", { role: "img", "aria-label": `${one.name}: ${num(one.count)} values, mean ${last < 0 ? "none" : shown(one.m[last])}` });
    $("metrics").append(el("figure", {}, el("figcaption", {}, el("b", {}, one.name), el("span", {}, last < 0 ? "no values" : `mean ${shown(one.m[last])} · n ${num(one.count)}`)), canvas));
    let visible = false;
    new IntersectionObserver((entries) => {
      visible = entries[entries.length - 1].isIntersecting;
      if (visible) paintSeries(canvas, one);
    }, { rootMargin: "200px" }).observe(canvas);
    painters.push(() => { if (visible || printing) paintSeries(canvas, one); });
    canvas.addEventListener("pointermove", (event) => {
      const x = event.clientX - canvas.getBoundingClientRect().left, w = canvas.clientWidth, t = tOf(x, w);
      let best = -1;
      for (let k = 0; k < one.t.length; k++) if (best < 0 || Math.abs(one.t[k] - t) < Math.abs(one.t[best] - t)) best = k;
      if (best < 0) return;
      showTip(event, [`${shown(one.v[best])}, mean so far ${shown(one.m[best])}`, `${since(one.t[best])} · ${clock(D.start + one.t[best])}`, ...firedLines(firedNear(x, w))]);
    });
    canvas.addEventListener("pointerleave", () => { tip.hidden = true; });
  });
  $("s-metrics").hidden = !D.series.length;
  $("metrics-hint").textContent = "Points are values, the line is their mean so far, dashed lines are rules that fired; triangles at the edge lie beyond it. The span of time is that of the timeline.";

  // --- what did not succeed

  if (!D.causes.total) $("bad").append(none(total.jobs ? "Everything that ended succeeded." : "Nothing has ended yet."));
  else {
    const again = D.causes.again;
    if (again) $("h-bad").append(el("span", { class: "soft" }, ` · ${num(D.causes.total)} attempts, ${num(again)} of them were tried again`));
    $("causes").append(el("div", {}, el("h3", {}, "By reason"), table("Reasons", [["group"], ["outcome"], ["reason"], ["attempts", "n"]], D.causes.reasons,
      ([group, outcome, reason, n]) => [group, chip(D.outcomes.includes(outcome) ? outcome : "failed", outcome), [reason || "–", ""], [num(n), "n"]], 12)));
    if (D.causes.hosts.length) $("causes").append(el("div", {}, el("h3", {}, `By node, of ${num(D.causes.hosts_of)}`), table("Nodes", [["node"], ["did not succeed", "n"], ["ran there", "n"], ["share", "n"]], D.causes.hosts,
      ([host, n, ran]) => [host, [num(n), "n"], [num(ran), "n"], [`${((100 * n) / Math.max(1, ran)).toFixed(n / ran < 0.1 ? 1 : 0)} %`, "n"]], 8)));
    const filter = el("input", { type: "search", placeholder: "filter by job, reason, node", "aria-label": "Filter what did not succeed" });
    const place = el("div");
    const list = () => {
      const text = filter.value.trim().toLowerCase();
      const rows = BAD.filter((i) => !text || [nameOf(i), reasonOf(i), hostOf(i), kindOf(i), String(at(J.id, i))].some((one) => one.toLowerCase().includes(text)));
      place.replaceChildren(rows.length ? table("Attempts that did not succeed", [["job"], ["outcome"], ["reason"], ["id"], ["node"], ["ended", "n"], ["ran", "n"], ["output"]], rows, (i) => {
        const details = el("details", {}, el("summary", {}, Object.hasOwn(D.tails, nameOf(i)) ? "end of it" : "where"));
        details.addEventListener("toggle", () => { if (details.open && details.children.length === 1) details.append(...output(nameOf(i), true)); });
        return [
          [el("button", { class: "link mono", title: "Show it in the timeline", onclick: () => { choose(i, true); $("s-time").scrollIntoView(); } }, nameOf(i)), "w"],
          [[chip(kindOf(i)), again_(i)], "w"], [reasonOf(i) || "–", ""], [String(at(J.id, i) || "–"), "mono w"], [hostOf(i) || "–", "w"],
          [el("span", { title: clock(D.start + fin[i], true) }, since(fin[i])), "n"], [began[i] ? lasts(fin[i] - beg[i]) : "never", "n"], [details, "out"],
        ];
      }, 25) : none("None of them."));
    };
    const again_ = (i) => (again[i], at(J.again, i) ? el("span", { class: "dim" }, " tried again") : "");
    filter.addEventListener("input", list);
    const drawn = BAD.length < D.causes.total ? `${num(BAD.length)} of ${num(D.causes.total)} are listed` : `${num(BAD.length)} attempts, in the order in which they ended`;
    $("bad").append(el("h3", {}, drawn), el("div", { class: "bar" }, filter), place);
    list();
  }
  if (D.errors.length) $("bad").append(el("h3", {}, "Actions that failed"), ...D.errors.map((text) => el("pre", {}, text)));

  // --- rules, decisions, calls, the file

  $("rules").append(D.rules.length ? table("Rules", [["rule", "n"], ["what it says"], ["fired", "n"], ["first", "n"], ["last", "n"]], D.rules, (rule) => [
    [num(rule.index), "n"], [[rule.text, rule.never ? el("span", { class: "badge no" }, "never met") : ""], ""],
    [rule.of === null ? num(rule.fired) : `${num(rule.fired)} of ${num(rule.of)}`, rule.fired ? "n" : "n zero"],
    ...[rule.first, rule.last].map((t) => [t === null ? "–" : el("span", { title: clock(t, true) }, since(t - D.start)), "n"]),
  ]) : none("The file of this run can't be shown as rules."));
  const dec = D.decisions;
  $("decisions").append(dec.rows.length ? table("What was done", [["after the start"], ["at"], ["rule", "n"], ["trigger"], ["action"], ["of"], ["more"]], dec.rows, ([t, rule, shown, action, label, detail]) => [
    [since(t), "w"], [clock(D.start + t), "w soft"], [rule < 0 ? "–" : num(rule), "n"], dec.shown[shown] || "–", dec.actions[action], dec.labels[label], [detail, "mono soft"],
  ], 25) : none("No rule has fired yet."));
  const calls = Object.entries(D.calls && typeof D.calls === "object" ? D.calls : {});
  const asked = calls.reduce((n, [, m]) => n + Number(m), 0);
  $("calls").append(calls.length ? table("Calls to the queue", [["call"], ["how often", "n"], ["one every", "n"]], calls.sort((a, b) => b[1] - a[1]),
    ([name, n]) => [[name, "mono"], [num(n), "n"], [lasts(SPAN / Math.max(1, n)), "n"]]) : none("It was never asked for the state of jobs."));
  if (calls.length) $("calls").append(el("p", { class: "hint" }, `${num(asked)} in all, by the member ${D.run.member}, for ${num(total.jobs || 0)} jobs.`));
  const pre = $("file").querySelector("pre");
  $("file").querySelector("summary").textContent = `${D.run.file || "file"}, as it ran`;
  D.text.replace(/\n$/, "").split("\n").slice(0, 5000).forEach((line, n) => pre.append(el("span", { class: "no", "aria-hidden": "true" }, String(n + 1).padStart(4) + "  "), line + "\n"));
  $("made").textContent = `Made ${clock(D.made)} by ensemble ${D.run.version}. Times are this browser's (${zone}), or counted from the start of the run.`;

  // --- when to draw

  let printing = false;
  painters.unshift(paintTime, paintUse);
  const fresh = () => { colors(); redraw(); };
  addEventListener("beforeprint", () => { printing = true; document.documentElement.dataset.print = ""; colors(); painters.forEach((paint) => paint()); });
  addEventListener("afterprint", () => { printing = false; delete document.documentElement.dataset.print; fresh(); });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", fresh);
  new ResizeObserver(redraw).observe(document.documentElement);
  colors();
  if (N) arrange($("order").value);
  redraw();
})();
