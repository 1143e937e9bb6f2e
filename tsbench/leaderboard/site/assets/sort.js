// Sorts tables by a click or key on a column's heading. Without this file the tables are plain tables.
"use strict";

function keyOf(cell, numeric) {
  const text = cell.dataset.key === undefined ? cell.textContent.trim() : cell.dataset.key;
  if (!numeric) return text.toLowerCase();
  const value = Number.parseFloat(text);
  return Number.isNaN(value) ? null : value;
}

function compare(a, b) {
  return a < b ? -1 : a > b ? 1 : 0;
}

// Cells that are moved at once. What a browser needs for a sort grows with the cells that it has to style and
// lay out again: the first rows are in order at once, those below them follow frame by frame.
const CELLS = 600;

function sortBy(table, column, numeric, descending) {
  const body = table.tBodies[0];
  const rows = Array.from(body.rows, (row) => ({ row, key: keyOf(row.cells[column], numeric) }));
  const known = rows.filter((one) => one.key !== null);
  const empty = rows.filter((one) => one.key === null); // cells without a value stay at the end
  known.sort((a, b) => (descending ? compare(b.key, a.key) : compare(a.key, b.key)));
  const sorted = known.concat(empty).map((one) => one.row);
  const turn = (table.turn = (table.turn || 0) + 1);
  const most = Math.max(8, Math.floor(CELLS / table.tHead.rows[0].cells.length));
  let place = 0;
  let next = body.firstElementChild;
  function move() {
    if (table.turn !== turn) return; // sorted or narrowed otherwise since
    for (let moved = 0; place < sorted.length && moved < most; place += 1) {
      if (sorted[place] === next) {
        next = next.nextElementSibling;
      } else {
        body.insertBefore(sorted[place], next);
        moved += 1;
      }
    }
    if (place < sorted.length) requestAnimationFrame(move);
  }
  move();
}

function makeSortable(table, announce) {
  const headings = Array.from(table.tHead.rows[0].cells);
  headings.forEach((heading, column) => {
    if (heading.hasAttribute("data-fixed")) return;
    const numeric = heading.classList.contains("num");
    const button = document.createElement("button");
    button.type = "button";
    const title = Array.from(heading.childNodes, (node) => node.textContent.trim()).filter(Boolean).join(", ");
    button.append(...heading.childNodes);
    const arrow = document.createElement("span");
    arrow.className = "arrow";
    button.insertBefore(arrow, button.querySelector(".range")); // beside the title, not below it
    heading.append(button);
    button.addEventListener("click", () => {
      const descending = heading.getAttribute("aria-sort") === "ascending";
      for (const other of headings) other.removeAttribute("aria-sort");
      heading.setAttribute("aria-sort", descending ? "descending" : "ascending");
      sortBy(table, column, numeric, descending);
      announce.textContent = `Sorted by ${title}, ${descending ? "descending" : "ascending"}`;
    });
  });
}

const announce = document.createElement("p");
announce.className = "hidden";
announce.setAttribute("aria-live", "polite");
document.body.append(announce);
for (const table of document.querySelectorAll("table.sortable")) makeSortable(table, announce);
