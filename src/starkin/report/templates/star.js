// One star: the card with its numbers, and the search by source_id.
"use strict";
(() => {
  const page = window.starkin;

  function rowsOf(star) {
    const rows = [["population", page.labelOf(page.position[star])]];
    for (const name of [...page.meta.labels, ...page.meta.latents]) {
      rows.push([page.meta.columns[name].label, page.format(name, page.column(name)[star])]);
    }
    return rows;
  }

  function card(star) {
    const box = page.element("star-card");
    const hint = page.element("star-hint");
    box.replaceChildren();
    hint.textContent =
      star < 0 ? "point at one, or find it by its id" : `source_id ${page.sourceId(star)}`;
    if (star < 0) return;
    const flags = page.models.packed.data.flags[star];
    for (const [bit, meaning] of Object.entries(page.meta.flags)) {
      if (flags & Number(bit)) {
        const line = document.createElement("p");
        line.className = "warn";
        line.textContent = `Flag ${bit}: ${meaning}`;
        box.append(line);
      }
    }
    const table = document.createElement("table");
    table.className = "pairs";
    for (const [label, value] of rowsOf(star)) {
      const row = table.insertRow();
      const head = document.createElement("th");
      head.scope = "row";
      head.textContent = label;
      row.append(head);
      row.insertCell().textContent = value;
    }
    box.append(table);
  }

  function find(text) {
    let id;
    try {
      id = BigInt(text.replace(/^\s*(Gaia\s+E?DR\d\s+)?/i, "").trim());
    } catch {
      return -1;
    }
    const bits = BigInt.asUintN(64, id);
    const high = Number(bits >> 32n);
    const low = Number(bits & 0xffffffffn);
    const { id_high, id_low } = page.models.packed.data;
    for (let i = 0; i < id_low.length; i++) {
      if (id_low[i] === low && id_high[i] === high) return i;
    }
    return -1;
  }

  page.parts.push(() => {
    page.on("star", (star) => card(star < 0 ? page.pinned : star));
    page.element("search").addEventListener("submit", (event) => {
      event.preventDefault();
      const text = page.element("search-id").value;
      const star = find(text);
      if (star < 0) {
        page.emit("problem", `There is no star with source_id ${text.trim() || "(empty)"} here.`);
        return;
      }
      page.select([star]);
    });
  });
})();
