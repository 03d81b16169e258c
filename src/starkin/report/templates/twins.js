// The page of twins: a star is chosen in a map, in the list or in the table; all panels follow.
"use strict";
(() => {
  const meta = JSON.parse(document.getElementById("starkin-meta").textContent);
  const page = { current: -1, emphasised: -1, ready: false };
  window.starkin = page;
  const element = (id) => document.getElementById(id);
  const n = meta.wavelength.length;
  const axes = Array.from({ length: meta.n_axes }, (_, i) => `c${i}`);
  const columns = [...axes, "teff", "logg"];
  let models;

  function stretch(name, position, unit) {
    const { values } = models.cube[name].data;
    const out = new Array(n);
    for (let j = 0; j < n; j++) {
      const code = values[position * n + j];
      out[j] = code === meta.masked ? NaN : code * unit;
    }
    return out;
  }

  function line(glyph, y) {
    glyph.data_source.data = { x: y ? meta.wavelength : [], y: y ?? [] };
  }

  function picked(nodes, rows) {
    return Object.fromEntries(columns.map((c) => [c, rows.map((r) => nodes[c][r])]));
  }

  function ink(rank) {
    return rank < meta.n_compared ? meta.inks[rank] : meta.rest_ink;
  }

  function maps(i) {
    const nodes = models.nodes.data;
    const twins = meta.twins[i];
    models.star.data = picked(nodes, [meta.asked[i]]);
    models.found.data = {
      ...picked(nodes, twins),
      ink: twins.map((_, rank) => ink(rank)),
      alpha: twins.map((_, rank) => Math.max(0.25, meta.probability[i][rank])),
    };
  }

  function spectra(i) {
    line(models.spectra.own, stretch("own", i, meta.flux_unit));
    for (let rank = 0; rank < meta.n_compared; rank++) {
      const known = rank < meta.twins[i].length;
      const at = i * meta.n_compared + rank;
      line(models.spectra.lines[rank], known ? stretch("moved", at, meta.flux_unit) : undefined);
      line(models.pulls.lines[rank], known ? stretch("pull", at, meta.pull_unit) : undefined);
    }
  }

  function elements(i) {
    if (!models.elements.dots) return;
    const delta = models.cube.delta.data.values;
    const error = models.cube.error.data.values;
    const shown = Math.min(meta.n_compared, meta.twins[i].length);
    const data = { element: [], delta: [], low: [], high: [], ink: [] };
    for (let rank = 0; rank < shown; rank++) {
      if (page.emphasised >= 0 && rank !== page.emphasised) continue;
      meta.elements.forEach((symbol, e) => {
        const at = (i * meta.n_compared + rank) * meta.elements.length + e;
        const value = delta[at];
        const half = error[at];
        // A categorical place may be shifted, so that twins stand side by side.
        data.element.push([symbol, 0.18 * (rank - (meta.n_compared - 1) / 2)]);
        data.delta.push(value);
        data.low.push(value - half);
        data.high.push(value + half);
        data.ink.push(ink(rank));
      });
    }
    models.elements.dots.data_source.data = data;
    const reach = data.delta.map((v, k) => Math.abs(v) + data.high[k] - v).sort((a, b) => a - b);
    // Elements that the spectrum hardly shows have errors of many dex: they may run out of the
    // panel, the well measured half must be readable.
    const limit = 1.3 * (reach[Math.floor(0.5 * (reach.length - 1))] || 1);
    models.elements.figure.y_range.setv({ start: -limit, end: limit });
  }

  function table(i) {
    const body = element("twins");
    body.replaceChildren();
    const nodes = models.nodes.data;
    meta.twins[i].forEach((node, rank) => {
      const row = body.insertRow();
      row.tabIndex = 0;
      row.dataset.rank = rank;
      const dot = document.createElement("i");
      dot.style.background = ink(rank);
      const head = document.createElement("th");
      head.append(dot, String(rank + 1));
      row.append(head);
      const chi2 = models.cube.chi2.data.values[i * meta.n_compared + rank];
      for (const text of [
        nodes.source_id[node],
        meta.probability[i][rank].toFixed(3),
        meta.distance[i][rank].toFixed(2),
        rank < meta.n_compared ? chi2.toFixed(2) : "",
      ]) {
        row.insertCell().textContent = text;
      }
      row.addEventListener("click", () => emphasise(rank));
      row.addEventListener("keydown", (event) => {
        if (event.key === "Enter") emphasise(rank);
      });
    });
  }

  function emphasise(rank) {
    page.emphasised = rank === page.emphasised || rank >= meta.n_compared ? -1 : rank;
    for (const row of document.querySelectorAll("#twins tr")) {
      row.setAttribute("aria-selected", Number(row.dataset.rank) === page.emphasised);
    }
    for (const panel of ["spectra", "pulls"]) {
      models[panel].lines.forEach((glyph, k) => {
        glyph.visible = page.emphasised < 0 || k === page.emphasised;
      });
    }
    elements(page.current);
  }

  function show(i) {
    page.current = i;
    page.emphasised = -1;
    const id = models.nodes.data.source_id[meta.asked[i]];
    element("name").textContent = id;
    element("star").value = String(i);
    maps(i);
    spectra(i);
    table(i);
    emphasise(-1);
    const best = meta.probability[i][0];
    element("status").textContent = meta.twins[i].length
      ? `${meta.twins[i].length} stars most alike; the best with probability ${best.toFixed(3)}.`
      : "This star has no twin here.";
  }
  page.show = show;

  page.tapped = (indices) => {
    if (!indices.length) return;
    const node = indices[0];
    const i = meta.asked.indexOf(node);
    if (i >= 0) {
      show(i);
    } else {
      const id = models.nodes.data.source_id[node];
      element("status").textContent = `Twins of ${id} are not in this page: starkin twins … --star ${id}`;
    }
  };

  function choice(id, axis, first) {
    const select = element(id);
    axes.forEach((name, k) => select.add(new Option(`direction ${k + 1}`, name)));
    select.value = first;
    select.addEventListener("change", () => {
      const { figure, behind, chosen, twins, star } = models.latent;
      for (const layer of [behind, chosen, twins, star]) {
        for (const glyph of [layer.glyph, layer.selection_glyph, layer.nonselection_glyph]) {
          if (glyph?.setv) glyph[axis] = { field: select.value };
        }
      }
      const place = axis === "x" ? figure.below : figure.left;
      place[0].axis_label = `${select.options[select.selectedIndex].text} [σ]`;
    });
  }

  page.start = (given) => {
    models = given;
    page.models = given;
    choice("latent-x", "x", "c0");
    choice("latent-y", "y", meta.n_axes > 1 ? "c1" : "c0");
    element("star").addEventListener("change", (event) => show(Number(event.target.value)));
    show(0);
    page.ready = true;
  };
})();
