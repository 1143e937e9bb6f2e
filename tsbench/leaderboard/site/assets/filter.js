// Narrows a suite's page: which cells count (field, condition) and which entries are shown.
"use strict";

const data = window.tsbenchData;
const panel = document.getElementById("filters");
const standings = document.querySelector("table.standings");
const rows = Array.from(standings.tBodies[0].rows);
const columns = { rank: 2, win: 3, skill: 4 };
const controls = new Map(
  Array.from(panel.querySelectorAll("[data-filter]"), (one) => [one.dataset.filter, one]),
);
const original = rows.map((row) => Array.from(row.cells, (cell) => cell.cloneNode(true)));
const strip = Array.from(standings.tHead.rows[0].cells).findIndex((cell) => cell.hasAttribute("data-fixed"));

function chosen(name) {
  const control = controls.get(name);
  return control ? control.value.trim() : "";
}

function setCell(cell, [key, text]) {
  cell.dataset.key = key === null ? "" : key;
  cell.textContent = text;
}

function restore(row, number) {
  for (const place of [0, ...Object.values(columns), strip]) {
    row.replaceChild(original[number][place].cloneNode(true), row.cells[place]);
  }
}

function applyScope(scope, whole) {
  rows.forEach((row, number) => {
    if (whole) return restore(row, number);
    setCell(row.cells[0], [scope.place[number], String(scope.place[number])]);
    for (const [name, column] of Object.entries(columns)) setCell(row.cells[column], scope[name][number]);
    row.cells[strip].replaceChildren();
  });
  const body = standings.tBodies[0];
  standings.turn = (standings.turn || 0) + 1; // ends a sort that is under way
  body.append(...rows.map((row, number) => ({ row, place: scope.place[number] }))
    .sort((a, b) => a.place - b.place).map((one) => one.row));
  for (const heading of standings.tHead.rows[0].cells) heading.removeAttribute("aria-sort");
  standings.tHead.rows[0].cells[0].setAttribute("aria-sort", "ascending");
}

function passes(row) {
  const tokens = (name) => row.dataset[name].split("|");
  const below = (name) => {
    const limit = Number.parseFloat(chosen(name));
    return Number.isNaN(limit) || Number.parseFloat(row.dataset[name]) <= limit; // not counted: not below
  };
  return (
    row.dataset.entry.toLowerCase().includes(chosen("entry").toLowerCase()) &&
    (!chosen("kind") || row.dataset.kind === chosen("kind")) &&
    ["tuning", "learning"].every((name) => !chosen(name) || tokens(name).includes(chosen(name))) &&
    below("seconds") && below("parameters")
  );
}

function applyEntries() {
  const hidden = new Set();
  for (const row of rows) {
    row.hidden = !passes(row);
    if (row.hidden) hidden.add(row.dataset.entry);
  }
  for (const row of document.querySelectorAll("table.heat tbody tr")) {
    row.hidden = hidden.has(row.querySelector("bdi").textContent);
  }
  return rows.length - hidden.size;
}

function applyCells(field, condition) {
  for (const part of document.querySelectorAll("details.scores")) {
    part.hidden = Boolean(condition) && part.dataset.condition !== condition;
    if (condition && !part.hidden) part.open = true;
    const table = part.querySelector("table");
    const off = Array.from(table.tHead.rows[0].cells, (cell) =>
      Boolean(field) && cell.dataset.field !== undefined && cell.dataset.field !== field);
    for (const row of table.rows) {
      Array.from(row.cells).forEach((cell, place) => { cell.hidden = off[place]; });
    }
  }
}

let applied = "";

function apply() {
  const field = chosen("field");
  const condition = chosen("condition");
  const scope = data.scopes.find((one) => one.field === field && one.condition === condition);
  const key = `${field}\n${condition}`;
  if (key !== applied) {
    applied = key;
    if (scope) applyScope(scope, !field && !condition);
    applyCells(field, condition);
  }
  const shown = applyEntries();
  const said = [`${shown} of ${rows.length} entries`];
  said.push(scope ? `${scope.cells} cells` : "no ranked cell of this field and condition: standings as before");
  if (shown < rows.length) said.push("ranks and win rates are among all entries, also those not shown");
  if (field || condition) said.push("ranges are given for the whole board only");
  document.getElementById("filtered").textContent = `${said.join("; ")}.`;
}

for (const control of controls.values()) control.addEventListener("input", apply);
document.getElementById("reset").addEventListener("click", () => {
  for (const control of controls.values()) control.value = "";
  apply();
});
panel.hidden = false;
apply();
