// The page's state and the few functions that every panel's script uses.
// Bokeh draws; these scripts decide what it draws. Parts register themselves
// in `starkin.parts` and run once the document stands.
"use strict";
window.starkin = (() => {
  const MISSING = 65535;
  const listeners = {};
  const page = {
    parts: [],
    active: new Set(), // positions of the populations picked by chip or row
    selected: [], // indices of the selected stars
    pinned: -1, // the star found by its id, or the only one selected
    timings: {},

    on(event, action) {
      (listeners[event] ??= []).push(action);
    },

    emit(event, detail) {
      for (const action of listeners[event] ?? []) action(detail);
    },

    element: (id) => document.getElementById(id),

    column(name) {
      return page.models.source.data[name];
    },

    // What a column's value says to people.
    format(name, value) {
      if (!Number.isFinite(value)) return "–";
      const { categories } = page.meta.columns[name];
      if (categories.length) return categories[value];
      return page.number(value, 4);
    },

    number(value, digits = 3) {
      const size = Math.abs(value);
      if (size >= 1e5) return Math.round(value).toLocaleString("en");
      if (size && size < 1e-4) return value.toExponential(digits - 1);
      return String(Number(value.toPrecision(digits)));
    },

    sourceId(i) {
      const { id_high, id_low } = page.models.packed.data;
      return BigInt.asIntN(64, (BigInt(id_high[i]) << 32n) | BigInt(id_low[i]));
    },

    labelOf: (position) => (position < 0 ? "none" : page.meta.population_labels[position]),
    colourOf: (position) => (position < 0 ? page.meta.noise_colour : page.meta.colours[position]),

    members(position) {
      const out = [];
      for (let i = 0; i < page.position.length; i++) {
        if (page.position[i] === position) out.push(i);
      }
      return out;
    },

    fillSelect(select, names, chosen) {
      for (const name of names) {
        const { label, description } = page.meta.columns[name];
        const option = new Option(label, name, false, name === chosen);
        option.title = description;
        select.add(option);
      }
    },

    // Runs `work` and keeps how long it took [ms], for the curious and for the tests.
    timed(name, work) {
      const start = performance.now();
      work();
      page.timings[name] = performance.now() - start;
    },

    start(models) {
      page.models = models;
      page.meta = JSON.parse(page.element("starkin-meta").textContent);
      page.timed("unpack", unpack);
      page.timed("parts", () => page.parts.forEach((part) => part()));
      page.ready = true;
    },

    hover(data) {
      const found = data.index.indices;
      const star = found.length ? found[found.length - 1] : -1;
      if (star !== page.hovered) {
        page.hovered = star;
        page.emit("star", star);
      }
    },
  };

  // Labels travel in 16 bits; here they become numbers in the source that the maps draw from.
  function unpack() {
    const { source, packed } = page.models;
    for (const [name, { scale }] of Object.entries(page.meta.columns)) {
      const codes = packed.data[name];
      if (!scale || !codes || source.data[name]) continue;
      const values = new Float32Array(codes.length);
      for (let i = 0; i < codes.length; i++) {
        values[i] = codes[i] === MISSING ? NaN : scale[0] + scale[1] * codes[i];
      }
      source.data[name] = values;
    }
    page.position = Int16Array.from(source.data.shade);
  }

  return page;
})();
