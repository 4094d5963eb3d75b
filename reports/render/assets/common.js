"use strict";
// Helpers of every page. Texts from the store only ever become text nodes or attribute values, never markup.
const data = JSON.parse(document.getElementById("data").textContent);

function el(tag, attributes, ...children) {
  const node = document.createElement(tag);
  apply(node, attributes);
  node.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

function svg(tag, attributes, ...children) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  apply(node, attributes);
  node.append(...children);
  return node;
}

function apply(node, attributes) {
  for (const [key, value] of Object.entries(attributes || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else node.setAttribute(key, value === true ? "" : value);
  }
}

function significant(value, digits) {
  if (value === null || value === undefined) return "nan";
  const size = Math.abs(value);
  if (size !== 0 && (size >= 1e6 || size < 1e-4)) return value.toExponential(digits - 1);
  const before = size < 1 ? 1 : Math.floor(Math.log10(size)) + 1;
  return value.toFixed(size < 1 ? digits : Math.max(0, digits - before));
}

const scoreText = (column, value) => (value === null ? "nan" : column.share ? (100 * value).toFixed(2) : significant(value, 5));

function deltaText(column, value) {
  if (value === null || value === undefined) return "nan";
  if (column.share) return (value < 0 ? "−" : "+") + Math.abs(100 * value).toFixed(2);
  return value === 0 ? "+0" : (value < 0 ? "−" : "+") + significant(Math.abs(value), 4);
}

const stars = (p) => (p === null || p === undefined ? "" : p < 0.001 ? "***" : p < 0.01 ? "**" : p < 0.05 ? "*" : "");
const pText = (p) => (p === null || p === undefined ? "–" : p < 1e-4 ? p.toExponential(1) : p.toFixed(p < 0.01 ? 4 : 3));

function simpleTable(head, rows, numeric) {
  const isNumeric = (i) => (numeric || []).includes(i);
  return el("div", { class: "scroll", tabindex: "0" }, el("table", { class: "wrap" },
    el("thead", {}, el("tr", {}, ...head.map((title, i) => el("th", { scope: "col", class: isNumeric(i) ? "num" : null }, title)))),
    el("tbody", {}, ...rows.map((row) => el("tr", {}, ...row.map((cell, i) =>
      el("td", { class: isNumeric(i) ? "num" : null }, cell instanceof Node ? cell : String(cell))))))));
}

function section(id, title, hint, ...content) {
  return el("section", { id, "aria-labelledby": id + "-title" }, el("h2", { id: id + "-title" }, title), hint && el("p", { class: "hint" }, hint), ...content);
}

function notesList(notes) {
  return notes.length ? el("ul", { class: "notes", "aria-label": "Notes" }, ...notes.map((note) => el("li", {}, note))) : null;
}

function definitions(pairs) {
  return el("dl", { class: "kv" }, ...pairs.filter(([, value]) => value !== null && value !== undefined && value !== "")
    .flatMap(([key, value]) => [el("dt", {}, key), el("dd", {}, value instanceof Node ? value : String(value))]));
}

// One tooltip for mouse and keyboard.
const tip = document.getElementById("tip");
function showTip(text, x, y) {
  tip.textContent = text;
  tip.hidden = false;
  const box = tip.getBoundingClientRect();
  tip.style.left = Math.max(4, Math.min(x + 12, innerWidth - box.width - 8)) + "px";
  tip.style.top = Math.max(4, y - box.height - 12 < 4 ? y + 16 : y - box.height - 12) + "px";
}
function withTip(node, text) {
  node.setAttribute("tabindex", "0");
  node.setAttribute("role", "img");
  node.setAttribute("aria-label", text.replace(/\n/g, ", "));
  node.addEventListener("mousemove", (event) => showTip(text, event.clientX, event.clientY));
  node.addEventListener("mouseleave", () => { tip.hidden = true; });
  node.addEventListener("focus", () => { const box = node.getBoundingClientRect(); showTip(text, box.right, box.top); });
  node.addEventListener("blur", () => { tip.hidden = true; });
  return node;
}
addEventListener("keydown", (event) => { if (event.key === "Escape") tip.hidden = true; });

// Scales: linear or logarithmic, with ticks at round numbers.
function ticks(low, high, count) {
  if (!(high > low)) return [low];
  const raw = (high - low) / count, power = Math.pow(10, Math.floor(Math.log10(raw)));
  const step = [1, 2, 2.5, 5, 10].map((m) => m * power).find((s) => s >= raw);
  const result = [];
  for (let v = Math.ceil(low / step - 1e-9) * step; v <= high + step * 1e-9; v += step) result.push(Math.abs(v) < step * 1e-9 ? 0 : v);
  return result;
}
function logTicks(low, high) {
  const result = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); ++power) {
    for (const m of [1, 1.5, 2, 3, 5, 7]) {
      const v = m * Math.pow(10, power);
      if (v >= low && v <= high) result.push(v);
    }
  }
  return result.length > 1 ? result : ticks(low, high, 4);
}
function scale(low, high, from, to, log) {
  const f = log ? Math.log : (v) => v;
  const place = (v) => from + ((f(v) - f(low)) / (f(high) - f(low) || 1)) * (to - from);
  place.ticks = (count) => (log ? logTicks(low, high) : ticks(low, high, count));
  return place;
}
const tickText = (v) => String(Number(v.toPrecision(6)));

// Shapes by calibration set, colours by recipe.
function shape(kind, x, y, r, attributes) {
  const paths = [
    `M${x - r},${y}a${r},${r} 0 1,0 ${2 * r},0a${r},${r} 0 1,0 ${-2 * r},0`,
    `M${x},${y - r * 1.2}L${x + r * 1.1},${y + r * 0.8}H${x - r * 1.1}Z`,
    `M${x - r * 0.9},${y - r * 0.9}h${1.8 * r}v${1.8 * r}h${-1.8 * r}Z`,
    `M${x},${y - r * 1.3}L${x + r * 1.1},${y}L${x},${y + r * 1.3}L${x - r * 1.1},${y}Z`,
    `M${x},${y + r * 1.2}L${x + r * 1.1},${y - r * 0.8}H${x - r * 1.1}Z`,
    `M${x - r * 1.2},${y - r * 0.4}h${r * 0.8}v${-r * 0.8}h${r * 0.8}v${r * 0.8}h${r * 0.8}v${r * 0.8}h${-r * 0.8}v${r * 0.8}h${-r * 0.8}v${-r * 0.8}h${-r * 0.8}Z`,
  ];
  return svg("path", { d: paths[kind % paths.length], ...attributes });
}
const color = (index) => `var(--c${index % 8})`;
