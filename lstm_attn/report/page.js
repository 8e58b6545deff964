// Rows are sorted by a column; a line says where a table goes on sideways.
"use strict";

// A cell begins with its number, or with a count of trials: "12/16", "≥ 80", ".98 (.81–1.00)", "−3".
const NUMBER = /^[<>≥≤]?\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)(?:\/(\d+))?/i;
const NEXT = {none: "ascending", ascending: "descending", descending: "none"};

function text(row, column) {
  const cell = row.cells[column];
  return ((cell.firstChild ?? cell).textContent ?? "").trim();
}

function number(shown) {
  const found = shown.replace(/(\d),(?=\d{3})/g, "$1").replace("−", "-").match(NUMBER);
  return found ? Number(found[1]) / Number(found[2] ?? 1) : NaN;
}

function compare(one, other, numeric) {
  return numeric ? number(one) - number(other) : one.localeCompare(other, "en", {numeric: true});
}

// Rows without a value come last in both directions; equal ones stay in the order of the page.
function sorted(rows, column, direction) {
  const value = new Map(rows.map(row => [row, text(row, column)]));
  const full = rows.filter(row => !/^–?$/.test(value.get(row)));
  const numeric = full.filter(row => !Number.isNaN(number(value.get(row)))).length > full.length / 2;
  const known = full.filter(row => !numeric || !Number.isNaN(number(value.get(row))));
  known.sort((one, other) => compare(value.get(one), value.get(other), numeric)
    * (direction === "ascending" ? 1 : -1));
  return [...known, ...rows.filter(row => !known.includes(row))];
}

for (const table of document.querySelectorAll("table.sorts")) {
  const body = table.tBodies[0], rows = [...body.rows], headings = [...table.tHead.rows[0].cells];
  if (rows.length < 2) continue;
  headings.forEach((heading, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.title = "sort";
    button.append(...heading.childNodes);
    heading.append(button);
    heading.setAttribute("aria-sort", "none");
    button.addEventListener("click", () => {
      const direction = NEXT[heading.getAttribute("aria-sort")];
      headings.forEach(one => one.setAttribute("aria-sort", "none"));
      heading.setAttribute("aria-sort", direction);
      body.append(...(direction === "none" ? rows : sorted(rows, column, direction)));
    });
  });
}

for (const box of document.querySelectorAll(".scroll")) {
  const hint = document.createElement("p");
  hint.className = "hint";
  hint.textContent = "the table goes on to the right →";
  box.before(hint);
  new ResizeObserver(() => {
    const goes_on = box.scrollWidth > box.clientWidth + 1;
    hint.hidden = !goes_on;
    box.tabIndex = goes_on ? 0 : -1; // the arrow keys scroll it
  }).observe(box);
}
