// Draws the scenarios of a task along any coordinate, with the Vega bundle beside it (interpreted, no eval).
"use strict";

const data = window.tsbenchData;
const MOST = 8;
const colours = ["#2f7fd1", "#d9730d", "#1a9a6c", "#c4539f", "#8766d6", "#9a8019", "#d64545", "#0f98a8"];
const coordinates = Object.keys(data.coordinates);
const numeric = (values) => values.every((one) => one === "" || !Number.isNaN(number(one)));
const mean = (values) => values.reduce((sum, one) => sum + one, 0) / values.length;
let drawn = 0;

function number(text) {
  return Number(text.replace("−", "-"));
}

function element(tag, text, attributes = {}) {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

function choice(title, id, values) {
  const label = element("label", title);
  const select = element("select", undefined, { id });
  for (const [value, said] of values) select.append(element("option", said, { value }));
  select.addEventListener("input", draw);
  label.append(select);
  document.getElementById("controls").append(label);
}

function value(id) {
  return document.getElementById(id).value;
}

function distinct(name, rows) {
  const found = [...new Set(rows.map((row) => data.coordinates[name][row]))];
  return numeric(found) ? found.sort((a, b) => number(a) - number(b)) : found;
}

function rowsOf(condition) {
  return data.condition.map((_, row) => row).filter((row) => !condition || data.condition[row] === condition);
}

function selected() {
  return rowsOf(value("condition")).filter((row) =>
    coordinates.every((name, place) => !value(`only-${place}`) || data.coordinates[name][row] === value(`only-${place}`)));
}

// Mean of each entry over the scenarios of each group; only where all of them have a value.
function points(entries, across, split) {
  const groups = new Map();
  for (const row of selected()) {
    const x = across ? data.coordinates[across][row] : data.condition[row];
    const facet = split ? `${split} ${data.coordinates[split][row] || "none"}` : "";
    const key = JSON.stringify([x, facet]);
    if (!groups.has(key)) groups.set(key, { x, facet, rows: [] });
    groups.get(key).rows.push(row);
  }
  const found = [];
  for (const { x, facet, rows } of groups.values()) {
    if (across && x === "") continue; // a scenario without this coordinate has no place on its axis
    for (const entry of entries) {
      const values = rows.map((row) => data.values[row][entry]);
      if (values.every((one) => one !== null)) {
        found.push({ x, facet, entry: data.entries[entry], value: mean(values), scenarios: rows.length });
      }
    }
  }
  return found;
}

function specification(found, across, split, entries) {
  const style = getComputedStyle(document.body);
  const ink = style.getPropertyValue("--quiet").trim();
  const text = style.getPropertyValue("--ink").trim();
  const xs = [...new Set(found.map((one) => one.x))];
  const quantitative = Boolean(across) && numeric(xs);
  const names = entries.map((entry) => data.entries[entry]);
  const wide = Math.max(220, Math.min(document.getElementById("plot").clientWidth - 80, 1240));
  const facets = new Set(found.map((one) => one.facet)).size;
  const columns = wide < 520 ? 1 : wide < 900 ? 2 : Math.min(3, facets);
  const width = split ? Math.max(200, Math.min(420, wide / columns - 50)) : Math.min(wide, 860);
  const values = found.map((one) => ({ ...one, x: quantitative ? number(one.x) : one.x }));
  const order = quantitative ? undefined : across ? distinct(across, selected()) : data.conditions;
  const layer = {
    mark: { type: "line", point: { filled: true, size: 55 }, strokeWidth: 2 },
    width, height: 280,
    encoding: {
      x: { field: "x", type: quantitative ? "quantitative" : "nominal", title: across || "condition", sort: order, scale: { zero: false }, axis: { labelAngle: 0, labelOverlap: "greedy", labelSeparation: 6 } },
      y: { field: "value", type: "quantitative", title: data.metric, scale: { zero: false } },
      color: { field: "entry", type: "nominal", scale: { domain: names, range: colours }, legend: { orient: "top", title: null, columns: wide < 500 ? 1 : 3, labelLimit: 260 } },
      tooltip: [
        { field: "entry", title: "entry" }, { field: "x", title: across || "condition" },
        { field: "value", title: data.metric, format: ".4~g" }, { field: "scenarios", title: "scenarios" },
      ],
    },
  };
  const spec = {
    $schema: "https://vega.github.io/schema/vega-lite/v6.json",
    data: { values },
    background: "transparent",
    config: {
      font: "system-ui, sans-serif", view: { stroke: null },
      axis: { labelColor: ink, titleColor: ink, gridColor: ink, gridOpacity: 0.2, domainColor: ink, tickColor: ink, titleFontWeight: "normal", labelFontSize: 12, titleFontSize: 12.5 },
      legend: { labelColor: text, labelFontSize: 12.5 }, header: { labelColor: text, labelFontSize: 12.5, titleColor: ink },
    },
  };
  if (!split) return { ...spec, ...layer };
  const encoding = { ...layer.encoding, facet: { field: "facet", type: "nominal", title: null, columns, sort: distinct(split, selected()).map((one) => `${split} ${one || "none"}`) } };
  // Levels of two disturbances are no common axis.
  const resolve = across === "level" ? { scale: { x: "independent" } } : {};
  return { ...spec, ...layer, encoding, resolve };
}

function fill(found, across, split) {
  const entries = [...new Set(found.map((one) => one.entry))];
  const head = element("tr");
  head.append(element("th", across || "condition", { scope: "col" }));
  if (split) head.append(element("th", split, { scope: "col" }));
  for (const name of entries) {
    const cell = element("th", undefined, { scope: "col", class: "num" });
    cell.append(element("bdi", name));
    head.append(cell);
  }
  const groups = new Map();
  for (const one of found) {
    const key = JSON.stringify([one.x, one.facet]);
    if (!groups.has(key)) groups.set(key, { ...one, values: new Map() });
    groups.get(key).values.set(one.entry, one.value);
  }
  const body = Array.from(groups.values(), (group) => {
    const row = element("tr");
    row.append(element("th", group.x, { scope: "row" }));
    if (split) row.append(element("td", group.facet.slice(split.length + 1)));
    for (const name of entries) {
      const known = group.values.get(name);
      row.append(element("td", known === undefined ? "–" : known.toPrecision(4).replace("-", "−"), { class: "num" }));
    }
    return row;
  });
  const table = document.getElementById("values");
  table.replaceChildren(element("thead"), element("tbody"));
  table.tHead.append(head);
  table.tBodies[0].append(...body);
}

async function draw() {
  const boxes = Array.from(document.querySelectorAll("#entries input"));
  const entries = boxes.filter((box) => box.checked).map((box) => Number(box.value));
  for (const box of boxes) box.disabled = !box.checked && entries.length >= MOST;
  const across = value("across");
  const split = value("split") === across ? "" : value("split");
  const found = points(entries, across, split);
  const order = across ? distinct(across, selected()) : data.conditions;
  found.sort((a, b) => (a.facet < b.facet ? -1 : a.facet > b.facet ? 1 : order.indexOf(a.x) - order.indexOf(b.x)));
  fill(found, across, split);
  const scenarios = selected().length;
  const said = found.length ? "" : " None of the chosen entries has a value in all of them.";
  document.getElementById("caption").textContent =
    `${data.metric}, mean over ${scenarios} scenario${scenarios === 1 ? "" : "s"} and the seeds; the table below has the same numbers.${said}`;
  const turn = (drawn += 1);
  const spec = specification(found, across, split, entries);
  const options = { ast: true, actions: false, renderer: "canvas", defaultStyle: false, tooltip: { disableDefaultStyle: true } };
  const holder = document.createElement("div");
  document.getElementById("plot").replaceChildren(holder);
  await window.vegaEmbed(holder, spec, options);
  if (turn !== drawn) holder.remove();
}

function start() {
  choice("Condition", "condition", [["", "all"], ...data.conditions.map((one) => [one, one])]);
  choice("Along", "across", [...coordinates.map((one) => [one, one]), ["", "condition"]]);
  choice("Split by", "split", [["", "nothing"], ...coordinates.map((one) => [one, one])]);
  coordinates.forEach((name, place) => {
    const values = distinct(name, rowsOf(""));
    choice(`Only ${name}`, `only-${place}`, [["", "mean over all"], ...values.filter(Boolean).map((one) => [one, one])]);
  });
  const first = new Set([0, 1, 2, data.entries.indexOf(data.baseline)]);
  data.entries.forEach((name, place) => {
    const label = element("label");
    const box = element("input", undefined, { type: "checkbox", value: place });
    box.checked = first.has(place);
    box.addEventListener("input", draw);
    label.append(box, element("bdi", name));
    document.getElementById("entries").append(label);
  });
  const axis = coordinates.includes("level") ? "level" : coordinates[0] || "";
  document.getElementById("across").value = axis;
  if (data.conditions.length > 1 && axis === "level") document.getElementById("split").value = coordinates.includes("disturbance") ? "disturbance" : "";
  document.getElementById("explorer").hidden = false;
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  draw();
}

start();
