// Chips and table rows pick populations; headings sort; counts follow the selection.
"use strict";
(() => {
  const page = window.starkin;
  const all = (selector) => document.querySelectorAll(selector);

  function mark() {
    for (const chip of all(".chip")) {
      chip.setAttribute("aria-pressed", page.active.has(Number(chip.dataset.position)));
    }
    for (const row of all(".populations tbody tr")) {
      row.setAttribute("aria-selected", page.active.has(Number(row.dataset.position)));
    }
  }

  function count(by) {
    for (const row of all(".populations tbody tr")) {
      const cell = row.querySelector(".selected");
      if (!cell) continue;
      const n = by.get(Number(row.dataset.position)) ?? 0;
      cell.textContent = n.toLocaleString("en");
      cell.dataset.sort = n;
    }
  }

  function sort(heading) {
    const body = heading.closest("table").tBodies[0];
    const column = heading.cellIndex;
    const down = heading.getAttribute("aria-sort") !== "descending";
    for (const other of heading.parentElement.cells) other.removeAttribute("aria-sort");
    heading.setAttribute("aria-sort", down ? "descending" : "ascending");
    const key = (row) => {
      const value = row.cells[column].dataset.sort;
      return value === "nan" ? -Infinity : Number.isNaN(Number(value)) ? value : Number(value);
    };
    const order = (a, b) => (a < b ? -1 : a > b ? 1 : 0);
    const rows = [...body.rows].sort((a, b) => (down ? -1 : 1) * order(key(a), key(b)));
    body.append(...rows);
  }

  page.parts.push(() => {
    for (const item of all(".chip, .populations tbody tr")) {
      const pick = (event) => page.pick(Number(item.dataset.position), event.shiftKey);
      item.addEventListener("click", pick);
      if (item.tagName === "TR") {
        item.addEventListener("keydown", (event) => {
          if (event.key !== "Enter" && event.key !== " ") return;
          event.preventDefault();
          pick(event);
        });
      }
    }
    for (const button of all(".populations thead button")) {
      button.addEventListener("click", () => sort(button.closest("th")));
    }
    page.on("active", mark);
    page.on("counts", count);
  });
})();
