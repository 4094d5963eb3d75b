// The report page: tables and plots from the embedded data.
const columns = data.columns, rows = data.rows;
const recipeOf = (row) => data.recipes.indexOf(row.r);
const calibrationNames = ["", "any", ...data.calibrations];
const shapeOf = (row) => Math.max(0, calibrationNames.indexOf(row.c) - 1);
const rowName = (row) => row.r + (row.s !== row.r ? " " + row.s : "") + (row.c ? " · " + row.c : "") + (row.seed ? " · seed " + row.seed : "");
const models = [...new Set(rows.map((row) => row.m))];
const seeds = rows.some((row) => row.seed);
const measured = (row, c) => Array.isArray(row.e[c]) && row.e[c][0] !== null;
// Of a task with many metrics the first one is shown until asked for.
const crowded = columns.map((column, c) => columns.findIndex((other) => other.group === column.group) !== c && columns.filter((other) => other.group === column.group).length > 2);
const visibleColumns = () => columns.map((_, c) => c).filter((c) => state.all || !crowded[c]);
const state = { all: false, model: models[0], score: 0, recipes: new Set(data.recipes), schemes: new Set(data.schemes), text: "", sort: null, descending: false };
state.score = Math.max(0, columns.findIndex((_, c) => rows.some((row) => measured(row, c))));

// ---- selection shared by the table and the plots
function shown(row) {
  if (row.m !== state.model) return false;
  if (row.base) return true;
  const text = (row.r + " " + row.s + " " + row.c + " " + row.k).toLowerCase();
  return state.recipes.has(row.r) && state.schemes.has(row.s) && state.text.toLowerCase().split(/\s+/).every((word) => text.includes(word));
}

function toggles(name, values, selected, colored) {
  return el("span", { class: "chips", role: "group", "aria-label": name }, ...values.map((value, i) => {
    const mark = colored ? svg("svg", { viewBox: "0 0 12 12", "aria-hidden": "true" }, svg("circle", { cx: 6, cy: 6, r: 5, fill: color(i) })) : null;
    return el("button", { class: "chip", type: "button", "aria-pressed": selected.has(value), onclick: (event) => {
      selected.has(value) ? selected.delete(value) : selected.add(value);
      event.currentTarget.setAttribute("aria-pressed", selected.has(value));
      refresh();
    } }, mark, value);
  }));
}

function controls() {
  return el("div", { class: "controls" },
    models.length > 1 && el("label", {}, "model", el("select", { onchange: (event) => { state.model = event.target.value; refresh(); } },
      ...models.map((model) => el("option", { value: model }, model)))),
    el("input", { type: "search", placeholder: "filter: gptq w4 wiki", "aria-label": "Filter rows by words", oninput: (event) => { state.text = event.target.value; refresh(); } }),
    toggles("Recipes", data.recipes, state.recipes, true), toggles("Schemes", data.schemes, state.schemes, false),
    crowded.some(Boolean) && el("label", {}, el("input", { type: "checkbox", onchange: (event) => { state.all = event.target.checked; drawTable(); } }), "all metrics"));
}

// ---- the table of scores
function sortValue(row, key) {
  if (typeof key === "number") return measured(row, key) ? row.e[key][0] : null;
  return key === "bits" ? (row.bits ?? null) : key === "c" ? row.c : key === "s" ? row.s : row.r;
}

function sortedRows() {
  const list = rows.map((row, index) => ({ row, index })).filter(({ row }) => shown(row));
  if (state.sort === null) return list;
  const sign = state.descending ? -1 : 1;
  return list.sort((a, b) => {
    if (a.row.base || b.row.base) return a.row.base ? (b.row.base ? a.index - b.index : -1) : 1;
    const x = sortValue(a.row, state.sort), y = sortValue(b.row, state.sort);
    if (x === null || y === null) return x === y ? a.index - b.index : x === null ? 1 : -1;  // what is missing stays at the end
    return (typeof x === "number" ? x - y : x.localeCompare(y)) * sign || a.index - b.index;
  });
}

function sortHeader(title, key, attributes) {
  const current = state.sort === key;
  return el("th", { scope: "col", "aria-sort": current ? (state.descending ? "descending" : "ascending") : "none", ...attributes },
    el("button", { type: "button", onclick: () => {
      state.descending = state.sort === key ? !state.descending : typeof key === "number" && columns[key].up;
      state.sort = key;
      drawTable();
      document.querySelector("#scores th[aria-sort=ascending] button, #scores th[aria-sort=descending] button")?.focus();
    } }, title));
}

// Long names of metrics may break at their underscores.
const breakable = (name) => { const node = el("span", {}); name.split(/(?<=_)/).forEach((part, i) => node.append(...(i ? [el("wbr", {})] : []), part)); return node; };

function tableHead() {
  const groups = [];
  for (const c of visibleColumns()) groups.length && groups[groups.length - 1][0] === columns[c].group ? ++groups[groups.length - 1][1] : groups.push([columns[c].group, 1]);
  return el("thead", {},
    el("tr", {}, el("th", { class: "recipe" }), el("td", { class: "wide", colspan: seeds ? 4 : 3 }), ...groups.map(([title, span]) => el("th", { class: "group", colspan: span, scope: "colgroup" }, title))),
    el("tr", {}, sortHeader("recipe", "r", { class: "recipe" }), sortHeader("calibration", "c", { class: "wide" }), seeds && el("th", { class: "wide" }, "seed"),
      sortHeader("scheme", "s", { class: "wide" }), sortHeader("bits", "bits", { class: "num wide", title: "effective bits per weight of the quantized linears" }),
      ...visibleColumns().map((c) => sortHeader(breakable(columns[c].name), c, { class: "num", title: columns[c].task + "\n" + columns[c].protocol + "\n" + (columns[c].up ? "higher" : "lower") + " is better" }))));
}

function scoreCell(row, c) {
  const entry = row.e[c], column = columns[c];
  if (!Array.isArray(entry)) return el("td", { class: "num" }, el("span", { class: "state " + entry }, entry || "–"));
  const delta = entry[2], mark = stars(entry[6]);
  const tone = mark && delta !== 0 ? ((delta > 0) === column.up ? " good" : " bad") : "";
  return el("td", { class: "num" }, scoreText(column, entry[0]), delta !== undefined && el("span", { class: "delta" + tone }, deltaText(column, delta) + mark));
}

function drawTable() {
  const body = el("tbody", {});
  for (const { row, index } of sortedRows()) {
    const button = el("button", { class: "open", type: "button", "aria-expanded": "false" }, row.r);
    const line = el("tr", { class: "row" + (row.base ? " base" : "") }, el("td", { class: "recipe" }, button, el("span", { class: "under" }, row.base ? "baseline" : [row.s, row.c].filter(Boolean).join(" · "))),
      el("td", { class: "wide" }, row.c), seeds && el("td", { class: "num wide" }, String(row.seed || 0)), el("td", { class: "wide scheme" }, row.base ? "" : row.s), el("td", { class: "num wide" }, row.bits === undefined ? "" : row.bits.toFixed(2)), ...visibleColumns().map((c) => scoreCell(row, c)));
    button.addEventListener("click", () => {
      const open = button.getAttribute("aria-expanded") === "true";
      button.setAttribute("aria-expanded", !open);
      if (open) line.nextSibling.remove();
      else line.after(el("tr", { class: "detail" }, el("td", { colspan: visibleColumns().length + (seeds ? 5 : 4) }, detail(row, index))));
    });
    body.append(line);
  }
  if (!body.children.length) body.append(el("tr", {}, el("td", { colspan: visibleColumns().length + 4, class: "dim" }, "Nothing matches the filter.")));
  document.getElementById("score-table").replaceChildren(tableHead(), body);
  const first = document.querySelector("#score-table thead tr");
  document.getElementById("score-table").style.setProperty("--head", first.getBoundingClientRect().height + "px");
}

// ---- drill-down of one cell
function detail(row, index) {
  const facts = definitions([["recipe", row.r], ["scheme", row.s], ["calibration set", row.cs || row.c], ["not legal", row.x], ["nominal bits", row.nom], ["effective bits", row.bits],
    ["size of the linears", row.size], ["quantization took", row.t], ["peak memory", row.rss], ["artifact", row.a && el("code", {}, row.a)], ["cell", el("code", {}, row.k)]]);
  const compared = columns.map((column, c) => [column, row.e[c]]).filter(([, entry]) => Array.isArray(entry) && entry.length > 2);
  const tests = compared.length ? simpleTable(["score", "Δ", "95 % interval", "p", "p (Holm)", "flips", "n"], compared.map(([column, e]) =>
    [column.title, deltaText(column, e[2]), e[3] === null ? "–" : deltaText(column, e[3]) + " … " + deltaText(column, e[4]), pText(e[5]), pText(e[6]), e[7] ?? "–", e[1]]), [1, 2, 3, 4, 5, 6]) : null;
  return el("div", { class: "detail-body" }, el("div", { class: "pair" }, el("div", {}, el("h3", {}, "This cell"), facts),
    tests && el("div", {}, el("h3", {}, "Against the baseline, paired"), tests)), ledger(row, index));
}

function ledger(row, index) {
  const lines = data.ledger.rows[index];
  if (!lines) return null;
  const names = data.ledger.names;
  if (data.ledger.sums) {
    return el("div", {}, el("h3", {}, "Ledger by kind of layer"), simpleTable(["layers", "number", "bits", "largest weight error", "largest output error"],
      lines.map((l) => [names[l[0]], l[1], l[2], l[3] ?? "–", l[4] ?? "–"]), [1, 2, 3, 4]));
  }
  const list = el("details", {}, el("summary", {}, `All ${lines.length} layers`));
  list.addEventListener("toggle", () => {
    if (list.open && list.children.length === 1) {
      list.append(simpleTable(["layer", "bits", "weight error", "output error", "what happened"], lines.map((l) => [names[l[0]], l[1], l[2] ?? "–", l[3] ?? "–", l[4] || ""]), [1, 2, 3]));
    }
  });
  return el("div", {}, el("h3", {}, `Ledger: relative error of each of ${lines.length} layers` + (row.fb ? `, ${row.fb} with a fallback` : "")), ledgerPlot(lines), list);
}

function ledgerPlot(lines) {
  const useOutput = lines.every((l) => l[3] !== null);
  const value = (l) => (useOutput ? l[3] : l[2]) || 0;
  const width = 900, height = 110, top = Math.max(...lines.map(value)) || 1, step = (width - 40) / lines.length;
  const y = scale(0, top, height - 8, 8, false);
  const plot = svg("svg", { viewBox: `0 0 ${width} ${height}`, "aria-label": "Error of each layer, in the order of the model" });
  for (const tick of y.ticks(3)) plot.append(svg("line", { class: "grid", x1: 40, x2: width, y1: y(tick), y2: y(tick) }), svg("text", { x: 36, y: y(tick) + 4, "text-anchor": "end" }, tickText(tick)));
  lines.forEach((l, i) => plot.append(withTip(svg("rect", { x: 40 + i * step, width: Math.max(1, step - 0.6), y: y(value(l)), height: Math.max(1, y(0) - y(value(l))), fill: l[4] ? "var(--bad)" : "var(--c0)" }),
    `${data.ledger.names[l[0]]}\n${useOutput ? "output" : "weight"} error ${value(l)}\n${l[1]} bits${l[4] ? "\n" + l[4] : ""}`)));
  return el("div", { class: "plot" }, plot);
}

// ---- plots
function interval(entry) {
  return entry.length > 4 && entry[3] !== null ? [entry[0] - entry[2] + entry[3], entry[0] - entry[2] + entry[4]] : null;
}

function pointText(row, c) {
  const entry = row.e[c], column = columns[c];
  return rowName(row) + `\n${column.title}: ${scoreText(column, entry[0])}` + (entry.length > 2 ? ` (${deltaText(column, entry[2])}${stars(entry[6])})` : "") +
    (row.bits === undefined ? "" : `\n${row.bits.toFixed(2)} bits per weight`);
}

function qualityPlot() {
  const c = state.score, column = columns[c];
  const points = rows.filter((row) => shown(row) && !row.base && row.bits !== undefined && measured(row, c));
  const base = rows.find((row) => row.m === state.model && row.base && measured(row, c));
  const box = document.getElementById("quality-plot");
  if (!points.length) { box.replaceChildren(el("p", { class: "hint" }, "No quantized cell of this selection has this score.")); return; }
  const width = Math.max(320, box.clientWidth), height = Math.max(280, Math.min(430, width * 0.5)), left = 58, bottom = 40, right = 14, top = 14;
  const bits = points.map((row) => row.bits), lowBits = Math.min(...bits), highBits = Math.max(...bits);
  const values = points.flatMap((row) => [row.e[c][0], ...(interval(row.e[c]) || [])]).concat(base ? [base.e[c][0]] : []);
  let low = Math.min(...values), high = Math.max(...values);
  const log = !column.share && low > 0 && high / low > 1.8;
  const margin = log ? Math.pow(high / low, 0.05) : (high - low || Math.abs(high) || 1) * 0.06;
  [low, high] = log ? [low / margin, high * margin] : [low - margin, high + margin];
  const slack = (highBits - lowBits || 2) * 0.12;
  const x = scale(lowBits - slack, highBits + slack, left, width - right, false), y = scale(low, high, height - bottom, top, log);
  const plot = svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "group", "aria-label": column.title + " against effective bits" });
  for (const tick of y.ticks(6)) plot.append(svg("line", { class: "grid", x1: left, x2: width - right, y1: y(tick), y2: y(tick) }), svg("text", { x: left - 8, y: y(tick) + 4, "text-anchor": "end" }, tickText(column.share ? tick * 100 : tick)));
  for (const tick of x.ticks(Math.min(8, width / 90))) plot.append(svg("line", { class: "grid", x1: x(tick), x2: x(tick), y1: top, y2: height - bottom }), svg("text", { x: x(tick), y: height - bottom + 18, "text-anchor": "middle" }, tickText(tick)));
  plot.append(svg("text", { x: (left + width - right) / 2, y: height - 4, "text-anchor": "middle" }, "effective bits per weight"),
    svg("text", { x: left, y: top - 3, class: "strong" }, column.title + (log ? " (logarithmic)" : "") + (column.up ? ", higher is better" : ", lower is better")));
  if (base) {
    plot.append(svg("line", { class: "baseline", x1: left, x2: width - right, y1: y(base.e[c][0]), y2: y(base.e[c][0]) }),
      svg("text", { x: width - right - 4, y: y(base.e[c][0]) + (column.up ? -6 : 15), "text-anchor": "end", class: "strong" }, `${base.r} ${scoreText(column, base.e[c][0])}`));
  }
  // Equal bits are common: points stand side by side, in the order of recipes and calibration sets.
  const neighbours = new Map();
  for (const row of points) neighbours.set(row.bits, [...(neighbours.get(row.bits) || []), row]);
  for (const group of neighbours.values()) {
    group.sort((a, b) => recipeOf(a) - recipeOf(b) || shapeOf(a) - shapeOf(b));
    const step = Math.min(13, (width - left - right) * 0.2 / group.length);
    group.forEach((row, i) => {
      const px = x(row.bits) + (i - (group.length - 1) / 2) * step, py = y(row.e[c][0]), ends = interval(row.e[c]), fill = color(recipeOf(row));
      if (ends) plot.append(svg("path", { class: "bar", stroke: fill, d: `M${px},${y(ends[0])}V${y(ends[1])}M${px - 3},${y(ends[0])}h6M${px - 3},${y(ends[1])}h6` }));
      plot.append(withTip(shape(shapeOf(row), px, py, step < 7 ? 3.5 : 5.5, { class: "point", fill }), pointText(row, c)));
    });
  }
  box.replaceChildren(plot);
}

function spreadPlot() {
  const c = state.score, column = columns[c], box = document.getElementById("spread-plot");
  const panels = data.schemes.map((scheme) => [scheme, data.recipes.map((recipe) =>
    rows.filter((row) => shown(row) && row.r === recipe && row.s === scheme && measured(row, c) && !row.base)).filter((list) => list.some((row) => row.c && row.c !== "any"))]).filter(([, lines]) => lines.length);
  if (!panels.length) { box.replaceChildren(el("p", { class: "hint" }, "No recipe of this selection was run with a calibration set.")); return; }
  box.replaceChildren(...panels.map(([scheme, lines]) => spreadPanel(column, c, scheme, lines)));
}

function spreadPanel(column, c, scheme, lines) {
  const width = 420, left = 150, right = 18, top = 24, step = 30, height = top + lines.length * step + 26;
  const values = lines.flat().map((row) => row.e[c][0]);
  const base = rows.find((row) => row.m === state.model && row.base && measured(row, c));
  let low = Math.min(...values), high = Math.max(...values);
  const span = high - low || Math.abs(high) * 0.01 || 1;
  if (base && base.e[c][0] > low - span && base.e[c][0] < high + span) [low, high] = [Math.min(low, base.e[c][0]), Math.max(high, base.e[c][0])];
  const x = scale(low - span * 0.08, high + span * 0.08, left, width - right, false);
  const plot = svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "group", "aria-label": `${column.title} over calibration sets, ${scheme}` });
  plot.append(svg("text", { x: 0, y: 13, class: "strong" }, scheme));
  for (const tick of x.ticks(4)) plot.append(svg("line", { class: "grid", x1: x(tick), x2: x(tick), y1: top, y2: height - 22 }), svg("text", { x: x(tick), y: height - 6, "text-anchor": "middle" }, tickText(column.share ? tick * 100 : tick)));
  if (base && base.e[c][0] >= low && base.e[c][0] <= high) plot.append(withTip(svg("line", { class: "baseline", x1: x(base.e[c][0]), x2: x(base.e[c][0]), y1: top, y2: height - 22 }), pointText(base, c)));
  lines.forEach((list, i) => {
    const y = top + (i + 0.5) * step, line = list.map((row) => x(row.e[c][0])), name = list[0].r;
    plot.append(svg("text", { x: left - 12, y: y + 4, "text-anchor": "end" }, name.length > 21 ? name.slice(0, 20) + "…" : name), svg("line", { class: "range", x1: Math.min(...line), x2: Math.max(...line), y1: y, y2: y }));
    for (const row of list) plot.append(withTip(shape(shapeOf(row), x(row.e[c][0]), y, 5.5, { class: "point", fill: color(recipeOf(row)) }), pointText(row, c)));
  });
  return plot;
}

function shapeLegend() {
  const used = calibrationNames.filter((name) => name && rows.some((row) => row.c === name));
  return used.length < 2 ? null : el("p", { class: "hint chips", "aria-label": "Shapes" }, "Calibration set: ", ...used.map((name) => el("span", { class: "chip" },
    svg("svg", { viewBox: "0 0 12 12", "aria-hidden": "true" }, shape(Math.max(0, calibrationNames.indexOf(name) - 1), 6, 6, 4.4, { fill: "currentColor" })), name)));
}

function scoreChoice(label) {
  return el("label", {}, label, el("select", { "data-score": true, onchange: (event) => { state.score = Number(event.target.value); refresh(); } },
    ...columns.map((column, c) => el("option", { value: c, selected: c === state.score }, column.title))));
}

// ---- what went wrong, what it cost, how to repeat it
function failures() {
  if (!data.failures.length) return null;
  return section("failures", `Failures (${data.failures.length})`, null, ...data.failures.map((f) => el("div", { class: "failure" },
    el("p", {}, el("strong", {}, f.kind), " in ", f.what, ...[f.phase, f.layer, f.signal].filter(Boolean).map((part) => " · " + part), " · after " + f.after),
    el("p", {}, f.message), f.cells.length > 0 && el("p", { class: "hint" }, "missing from: " + f.cells.join("; ")),
    f.log && el("details", {}, el("summary", {}, "last lines of the log"), el("pre", {}, f.log)))));
}

function illegal() {
  const list = rows.filter((row) => row.x);
  return list.length ? section("illegal", "Combinations that are not legal", null, simpleTable(["model", "recipe", "scheme", "reason"], list.map((row) => [row.m, row.r, row.s, row.x]))) : null;
}

function fallbacks() {
  return data.fallbacks.length ? section("fallbacks", "Fallbacks", "Layers where the method could not do what it asks for.", simpleTable(["cell", "layer", "what happened"], data.fallbacks)) : null;
}

function runs() {
  const keys = [...new Set(data.runs.flatMap((run) => Object.keys(run.env)))].sort();
  const text = (value) => (value === undefined ? "" : typeof value === "string" ? value : JSON.stringify(value));
  const lines = [["suite", ...data.runs.map((r) => r.suite)], ["suite hash", ...data.runs.map((r) => el("code", {}, r.hash.slice(0, 16)))], ["started", ...data.runs.map((r) => r.started)],
    ["status", ...data.runs.map((r) => r.status || "unfinished")], ...keys.map((key) => [key, ...data.runs.map((r) => text(r.env[key]))])];
  const texts = data.runs.filter((run, i) => run.yaml && data.runs.findIndex((other) => other.yaml === run.yaml) === i);
  return section("runs", "Environment and suites", "Everything needed to run this again.", simpleTable(["", ...data.runs.map((run) => "run " + run.id)], lines),
    ...texts.map((run, i) => el("details", { open: i === texts.length - 1 }, el("summary", {}, `Suite of run ${run.id}: ${run.suite}`), copyButton(run.yaml), el("pre", {}, run.yaml))));
}

function copyButton(text) {
  return el("button", { type: "button", onclick: async (event) => {
    const button = event.currentTarget;
    try { await navigator.clipboard.writeText(text); button.textContent = "copied"; } catch { button.textContent = "select the text below"; }
  } }, "copy");
}

function refresh() {
  document.querySelectorAll("select[data-score]").forEach((select) => { select.value = state.score; });
  drawTable();
  if (columns.length) { qualityPlot(); if (document.getElementById("spread-plot")) spreadPlot(); }
}

function build() {
  const facts = el("ul", { class: "facts", "aria-label": "Coverage" }, ...data.coverage.map(([name, value]) => el("li", { class: name === "failed" && value ? "bad" : null }, el("b", {}, String(value)), el("span", {}, name))));
  const parts = [
    section("scores", "Scores", "Small figures: difference to the baseline; * p < 0.05, ** p < 0.01, *** p < 0.001, paired (exact McNemar on items, block bootstrap on windows), Holm-corrected within each score. Open a row for its tests and its ledger.",
      controls(), el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Table of scores" }, el("table", { id: "score-table" }))),
    columns.length && section("quality", "Quality against size", "Bars: 95 % interval of the difference to the baseline. Colour: recipe. The switches of the table select what is drawn.", el("div", { class: "controls" }, scoreChoice("score")), shapeLegend(), el("div", { class: "plot", id: "quality-plot" })),
    columns.length && data.calibrations.length > 1 && section("spread", "Does the calibration set matter?", "The same recipe and scheme over the calibration sets; the dashed line is the baseline where it is near.", el("div", { class: "controls" }, scoreChoice("score")), shapeLegend(), el("div", { class: "plot panels", id: "spread-plot" })),
    failures(), illegal(), fallbacks(),
    section("cost", "Cost", `Sharing steps between cells saved ${data.saved}.`, simpleTable(["steps of kind", "number", "wall time", "processor time", "peak memory"], data.costs, [1, 2, 3, 4])),
    section("protocols", "What each score means", null, simpleTable(["score", "task", "protocol", "better"], columns.map((column) => [column.title, column.task, column.protocol, column.up ? "higher" : "lower"]))),
    runs(),
  ].filter(Boolean);
  const links = el("nav", { "aria-label": "Sections" }, ...parts.map((part) => el("a", { href: "#" + part.id }, part.querySelector("h2").textContent)));
  document.getElementById("main").replaceChildren(...[notesList(data.notes), facts, links, ...parts].filter(Boolean));
  refresh();
  let width = innerWidth;
  addEventListener("resize", () => { if (innerWidth !== width) { width = innerWidth; if (columns.length) qualityPlot(); } });
}

build();
