// Compares two to five entries of a suite; the choice is kept in the address, so that it can be sent on.
"use strict";

const data = window.tsbenchData;
const names = data.entries.map((one) => one.name);
const facts = ["Mean rank", "Win rate", "Skill score", "Parameters", "Fit and predict", "Compute", "Peak memory"];
const root = "../";
let chosen = [];

function element(tag, text, attributes = {}) {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

function named(place) {
  const link = element("a", undefined, { href: root + data.entries[place].href });
  link.append(element("bdi", names[place]));
  return link;
}

function options(select, values, all) {
  select.replaceChildren(...(all ? [element("option", all, { value: "" })] : []));
  for (const value of values) select.append(element("option", value, { value }));
}

function cellsShown() {
  const condition = document.getElementById("condition").value;
  const field = document.getElementById("field").value;
  return data.cells
    .map((cell, number) => ({ cell, number }))
    .filter(({ cell }) => (!condition || cell.condition === condition) && (!field || cell.field === field));
}

function table(label, head, body) {
  const region = element("div", undefined, { class: "scroll", role: "region", "aria-label": label, tabindex: "0" });
  const made = element("table", undefined, { class: "grid" });
  made.append(element("thead"), element("tbody"));
  const heading = element("tr");
  heading.append(...head);
  made.tHead.append(heading);
  made.tBodies[0].append(...body);
  region.append(made);
  return region;
}

function headings() {
  return chosen.map((place) => {
    const cell = element("th", undefined, { scope: "col", class: "num" });
    cell.append(named(place), element("span", data.entries[place].track, { class: "range" }));
    return cell;
  });
}

function overview() {
  const body = facts.map((title, number) => {
    const row = element("tr");
    row.append(element("th", title, { scope: "row" }));
    for (const place of chosen) row.append(element("td", data.entries[place].facts[number], { class: "num" }));
    return row;
  });
  return table("At a glance", [element("th", "Whole board", { scope: "col" }), ...headings()], body);
}

function pairs() {
  const body = chosen.map((row) => {
    const made = element("tr");
    const head = element("th", undefined, { scope: "row" });
    head.append(named(row));
    made.append(head);
    for (const column of chosen) {
      const cell = element("td", data.wins[row][column] || "–", { class: "num" });
      if (data.wins[row][column]) cell.append(element("span", `skill ${data.skill[row][column]}`, { class: "range" }));
      made.append(cell);
    }
    return made;
  });
  return table("Who beats whom", [element("th", "Wins against", { scope: "col" }), ...headings()], body);
}

function shade(relative) {
  if (relative === null || relative <= 0) return "";
  const steps = -4 * Math.log2(relative);
  const step = steps < -0.25 ? Math.max(-4, Math.floor(steps)) : steps > 0.25 ? Math.min(4, Math.ceil(steps)) : 0;
  return step ? ` h${step}` : "";
}

function scores() {
  const body = cellsShown().map(({ cell, number }) => {
    const row = element("tr");
    const head = element("th", undefined, { scope: "row" });
    head.append(element("a", cell.task, { href: root + cell.href }));
    row.append(head, element("td", cell.condition), element("td", cell.metric));
    const known = chosen.map((place) => data.values[number][place]).filter((value) => value !== null);
    const best = Math.min(...known);
    for (const place of chosen) {
      const value = data.values[number][place];
      const classes = `num${value !== null && value === best && known.length > 1 ? " best" : ""}${shade(data.relative[number][place])}`;
      const made = element("td", undefined, { class: classes });
      const link = data.links[cell.task][place];
      made.append(value !== null && link ? element("a", data.texts[number][place], { href: root + link }) : data.texts[number][place]);
      if (data.ranges[number][place]) made.append(element("span", data.ranges[number][place], { class: "range" }));
      row.append(made);
    }
    return row;
  });
  const head = ["Task", "Condition", "Metric"].map((title) => element("th", title, { scope: "col" }));
  return table("Scores", [...head, ...headings()], body);
}

function firstOf() {
  const counts = chosen.map(() => 0);
  for (const { number } of cellsShown()) {
    const known = chosen.map((place) => data.values[number][place]);
    const best = Math.min(...known.filter((value) => value !== null));
    known.forEach((value, place) => { if (value === best) counts[place] += 1; });
  }
  return counts;
}

function draw() {
  const list = document.getElementById("chosen");
  list.replaceChildren(...chosen.map((place) => {
    const item = element("li");
    const button = element("button", "×", { type: "button", "aria-label": `Remove ${names[place]}` });
    button.disabled = chosen.length <= 2;
    button.addEventListener("click", () => { chosen = chosen.filter((one) => one !== place); draw(); });
    item.append(element("bdi", names[place]), button);
    return item;
  }));
  const add = document.getElementById("add");
  options(add, names.filter((_, place) => !chosen.includes(place)), chosen.length < data.most ? "choose …" : `${data.most} at most`);
  add.disabled = chosen.length >= data.most;
  const counts = firstOf();
  const said = chosen.map((place, number) => `${names[place]} first in ${counts[number]}`);
  document.getElementById("said").textContent = `${cellsShown().length} cells: ${said.join(", ")}.`;
  document.getElementById("result").replaceChildren(
    element("h2", "At a glance"), overview(),
    element("h2", "In pairs"),
    element("p", "Share of common cells that the row wins, and its skill against the column, on the whole board.", { class: "quiet" }),
    pairs(),
    element("h2", "Scores"),
    element("p", "Mean over seeds, with their range below; the best of a row in bold; blue and orange: better and worse than the baseline. Each number is a link to its Results.", { class: "quiet" }),
    scores(),
  );
  window.history.replaceState(null, "", `#${chosen.map((place) => encodeURIComponent(names[place])).join(",")}`);
}

function fromAddress() {
  const asked = window.location.hash.slice(1).split(",").filter(Boolean).map((one) => {
    try { return names.indexOf(decodeURIComponent(one)); } catch { return -1; }
  });
  const known = [...new Set(asked)].filter((place) => place >= 0).slice(0, data.most);
  return known.length >= 2 ? known : names.map((_, place) => place).slice(0, 3);
}

options(document.getElementById("condition"), [...new Set(data.cells.map((one) => one.condition))], "all");
options(document.getElementById("field"), [...new Set(data.cells.map((one) => one.field).filter(Boolean))], "all");
for (const id of ["condition", "field"]) document.getElementById(id).addEventListener("input", draw);
document.getElementById("add").addEventListener("change", (event) => {
  const place = names.indexOf(event.target.value);
  if (place >= 0) chosen.push(place);
  draw();
  event.target.focus();
});
window.addEventListener("hashchange", () => { chosen = fromAddress(); draw(); });
document.getElementById("compare").hidden = false;
chosen = fromAddress();
draw();
