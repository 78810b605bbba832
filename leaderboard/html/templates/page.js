"use strict";
// Sorting, filtering, the cost switch, the theme, and the browser of examples. Texts enter the page as text only.

const root = document.documentElement;
document.getElementById("theme").addEventListener("click", () => {
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
});

for (const button of document.querySelectorAll(".sortable th button")) {
  button.addEventListener("click", () => {
    const head = button.closest("th");
    const column = button.dataset.column;
    const up = head.getAttribute("aria-sort") !== "ascending";
    for (const other of head.parentElement.children) other.setAttribute("aria-sort", "none");
    head.setAttribute("aria-sort", up ? "ascending" : "descending");
    const body = head.closest("table").tBodies[0];
    const rows = [...body.rows].sort((a, b) => compare(a.dataset[column], b.dataset[column], up));
    body.append(...rows);
  });
}

// Numbers by value, names in natural order; what is unknown stays at the end whichever way round.
function compare(a, b, up) {
  if (a === undefined || b === undefined) return (a === undefined) - (b === undefined);
  const numeric = a !== "" && b !== "" && !isNaN(a) && !isNaN(b);
  const order = numeric ? a - b : a.localeCompare(b, "en", { numeric: true });
  return up ? order : -order;
}

for (const field of document.querySelectorAll(".filter")) {
  field.addEventListener("input", () => {
    const words = field.value.toLowerCase();
    const rows = [...document.getElementById(field.dataset.table).tBodies[0].rows];
    for (const row of rows) row.hidden = !`${row.dataset.task} ${row.dataset.method}`.toLowerCase().includes(words);
    const count = document.querySelector(`.count[data-table="${field.dataset.table}"]`);
    count.textContent = `${rows.filter((row) => !row.hidden).length} of ${rows.length} rows`;
  });
}

for (const choice of document.querySelectorAll("select.cost")) {
  choice.addEventListener("change", () => {
    const names = [...choice.options].map((option) => option.value);
    for (const panel of choice.closest("section").querySelectorAll(".panel")) {
      const kind = names.find((name) => panel.classList.contains(name));
      if (kind) panel.hidden = kind !== choice.value;
    }
  });
}

const PAGE = 20;
const held = document.getElementById("data");
if (held) browse(JSON.parse(held.textContent));

function browse(data) {
  const [run, order, search, list, more] = ["run", "order", "search", "list", "more"].map((id) => document.getElementById(id));
  const place = Object.fromEntries(data.fields.map((name, at) => [name, at]));
  let found = [];
  let shown = 0;

  data.runs.forEach((one, at) => run.append(new Option(one.name, at)));
  for (const control of [run, order]) control.addEventListener("change", fill);
  search.addEventListener("input", fill);
  more.addEventListener("click", () => show(PAGE));
  fill();

  function read(entry) {
    const text = (at) => (at === null ? null : data.texts[at]);
    const one = {};
    for (const name of data.fields) {
      const value = entry[place[name]];
      one[name] = name === "score" || name === "length" ? value : Array.isArray(value) ? value.map(text) : text(value);
    }
    return one;
  }

  function fill() {
    const chosen = data.runs[run.value];
    const words = search.value.toLowerCase();
    found = chosen.entries.map(read).filter((one) =>
      Object.values(one).flat().some((value) => String(value ?? "").toLowerCase().includes(words)));
    if (order.value !== "data") found.sort((a, b) => (order.value === "worst" ? a.score - b.score : b.score - a.score));
    const cut = chosen.entries.length < chosen.total ? `The worst and the best ${chosen.entries.length} of ${chosen.total} examples are in this page. ` : "";
    document.getElementById("run-note").textContent = cut + chosen.note;
    document.getElementById("found").textContent = `${found.length} examples`;
    list.replaceChildren();
    shown = 0;
    show(PAGE);
  }

  function show(count) {
    for (const one of found.slice(shown, shown + count)) list.append(card(one));
    shown = Math.min(shown + count, found.length);
    more.hidden = shown >= found.length;
  }
}

function make(name, ...content) {
  const element = document.createElement(name);
  element.append(...content);
  return element;
}

function card(one) {
  const box = make("details", make("summary", `score ${one.score.toFixed(3)} · `, make("bdi", one.example), " · user ", make("bdi", one.user)));
  box.addEventListener("toggle", () => { if (box.open && box.children.length === 1) box.append(body(one)); });
  return box;
}

function body(one) {
  const list = make("dl");
  const add = (name, content) => { if (content !== null) list.append(make("dt", name), make("dd", content)); };
  add("input", one.input);
  if (one.evidence.length) add("evidence", make("ul", ...one.evidence.map((item) => make("li", item))));
  add("draft", one.draft);
  add("trajectory", one.trajectory);
  add(one.draft === null ? "prediction" : "rewrite", one.prediction !== null && one.draft !== null ? changes(one.draft, one.prediction) : one.prediction);
  add("target", one.target);
  add("failure", one.failure);
  if (one.prediction === null && one.length !== null) add("length", `${one.length} characters`);
  return list;
}

// Words taken out and put in between two texts, by their longest common subsequence.
function changes(before, after) {
  const [a, b] = [before, after].map((text) => text.match(/\s*\S+\s*/g) ?? []); // spaces alone never count as kept
  const same = (i, j) => a[i].trim() === b[j].trim();
  const best = Array.from({ length: a.length + 1 }, () => new Uint16Array(b.length + 1));
  for (let i = a.length - 1; i >= 0; i--)
    for (let j = b.length - 1; j >= 0; j--)
      best[i][j] = same(i, j) ? best[i + 1][j + 1] + 1 : Math.max(best[i + 1][j], best[i][j + 1]);
  const told = make("span");
  const put = (name, word) => {
    const last = told.lastChild;
    if (last && last.nodeName.toLowerCase() === name) last.append(word);
    else told.append(make(name, word));
  };
  for (let i = 0, j = 0; i < a.length || j < b.length;) {
    if (i < a.length && j < b.length && same(i, j)) { told.append(b[j]); i++; j++; }
    else if (i < a.length && (j === b.length || best[i + 1][j] >= best[i][j + 1])) put("del", a[i++]);
    else put("ins", b[j++]);
  }
  return told;
}
