// The selection: from a drag in a map, a population or a search, to everything else.
"use strict";
(() => {
  const page = window.starkin;
  let ours = false; // true while the script itself selects

  page.select = (indices, active = []) => {
    ours = true;
    page.active = new Set(active);
    page.models.source.selected.indices = indices;
    ours = false;
    if (page.selected !== indices) changed(); // the same stars as before: no event came
    page.emit("active");
  };

  // A plain click picks one population (a second one drops it), Shift adds or removes.
  page.pick = (position, add) => {
    const only = page.active.has(position) && page.active.size === 1;
    const next = new Set(add ? page.active : []);
    if (add ? next.has(position) : only) next.delete(position);
    else next.add(position);
    const indices = [];
    for (let i = 0; i < page.position.length; i++) {
      if (next.has(page.position[i])) indices.push(i);
    }
    page.select(indices, next);
  };

  // Then its own lines say all, and one for the selection would hide them.
  page.isOnePopulation = () => page.active.size === 1 && !page.active.has(-1);

  function changed() {
    page.timed("selection", () => {
      page.selected = page.models.source.selected.indices;
      page.pinned = page.selected.length === 1 ? page.selected[0] : -1;
      if (!ours && page.active.size) {
        page.active = new Set();
        page.emit("active");
      }
      page.emit("selection");
      page.emit("star", page.pinned);
    });
  }

  function counts() {
    const out = new Map();
    for (const i of page.selected) {
      const p = page.position[i];
      out.set(p, (out.get(p) ?? 0) + 1);
    }
    return out;
  }

  function status() {
    const output = page.element("status");
    const n = page.selected.length;
    output.classList.remove("problem");
    for (const id of ["clear", "export", "invert"]) page.element(id).disabled = n === 0;
    const by = counts();
    page.emit("counts", by);
    output.replaceChildren();
    if (!n) {
      output.textContent = "Drag a box in any of the three maps of stars, or click a population.";
      return;
    }
    const share = ((100 * n) / page.meta.n_stars).toPrecision(2);
    const bold = document.createElement("b");
    bold.textContent = `${n.toLocaleString("en")} ${n === 1 ? "star" : "stars"} selected`;
    const parts = [...by]
      .sort((a, b) => b[1] - a[1])
      .slice(0, 8)
      .map(([p, c]) => `${page.labelOf(p)} ${c.toLocaleString("en")}`);
    output.append(bold, ` (${Number(share)} %): ${parts.join(" · ")}`);
  }

  function csv() {
    const { packed } = page.models;
    const names = [...page.meta.labels, ...page.meta.latents];
    const quote = (text) => (/[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
    const lines = [["source_id", "population", ...names, "flags"].map(quote).join(",")];
    for (const i of page.selected) {
      const cells = names.map((name) => {
        const value = page.column(name)[i];
        const { categories } = page.meta.columns[name];
        if (!Number.isFinite(value)) return "";
        return categories.length ? quote(categories[value]) : String(Number(value.toPrecision(7)));
      });
      const p = page.position[i];
      const population = p < 0 ? -1 : page.meta.numbers[p];
      lines.push([page.sourceId(i), population, ...cells, packed.data.flags[i]].join(","));
    }
    return lines.join("\n") + "\n";
  }
  page.csv = csv;

  function save() {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([csv()], { type: "text/csv" }));
    link.download = `selection_${page.selected.length}.csv`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  }

  function invert() {
    const chosen = new Uint8Array(page.meta.n_stars);
    for (const i of page.selected) chosen[i] = 1;
    const rest = [];
    for (let i = 0; i < chosen.length; i++) if (!chosen[i]) rest.push(i);
    page.select(rest);
  }

  page.parts.push(() => {
    page.on("selection", status);
    page.on("problem", (text) => {
      const output = page.element("status");
      output.textContent = text;
      output.classList.add("problem");
    });
    page.models.source.selected.properties.indices.change.connect(changed);
    page.element("clear").addEventListener("click", () => page.select([]));
    page.element("invert").addEventListener("click", invert);
    page.element("export").addEventListener("click", save);
    document.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && page.selected.length) page.select([]);
    });
  });
})();
