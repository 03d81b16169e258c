// Mean spectra: which populations stand out, the mean of the selection, one star.
"use strict";
(() => {
  const page = window.starkin;
  let row; // star -> row of the cube, -1 for a star whose spectrum is not in the page
  let base, step; // flux = base + step * code, for each row
  let total; // sum over all rows, made when first needed
  let everything;

  function unpack() {
    const { flux, low, high, star } = page.models.cube.data;
    const scale = page.meta.spectra;
    row = new Int32Array(page.position.length).fill(-1);
    if (!star) return;
    base = new Float32Array(star.length);
    step = new Float32Array(star.length);
    for (let r = 0; r < star.length; r++) {
      row[star[r]] = r;
      base[r] = scale.low[0] + scale.low[1] * low[r];
      step[r] = (scale.high[0] + scale.high[1] * high[r] - base[r]) / 255;
    }
    // A plain view: the subclass that Bokeh hands out forgets the offset in `subarray`.
    everything = new Uint8Array(flux.buffer, flux.byteOffset, flux.length);
  }

  function spectrum(r) {
    const n = page.meta.spectra.wavelength.length;
    return Array.from(everything.subarray(r * n, (r + 1) * n), (v) => base[r] + step[r] * v);
  }

  function sum(rows) {
    const n = page.meta.spectra.wavelength.length;
    const out = new Float64Array(n);
    for (const r of rows) {
      const at = r * n;
      for (let j = 0; j < n; j++) out[j] += base[r] + step[r] * everything[at + j];
    }
    return out;
  }

  function line(source, y) {
    source.data = { x: y ? page.meta.spectra.wavelength : [], y: y ?? [] };
  }

  function showSelection() {
    const { spectra, ratio } = page.models;
    const rows = page.selected.map((i) => row[i]).filter((r) => r >= 0);
    if (!rows.length || page.isOnePopulation()) {
      line(spectra.selection);
      line(ratio.selection);
      return;
    }
    total ??= sum(base.keys());
    const own = sum(rows);
    const rest = base.length - rows.length;
    // A single star has a line of its own.
    line(spectra.selection, rows.length > 1 ? Array.from(own, (v) => v / rows.length) : undefined);
    line(
      ratio.selection,
      rest ? Array.from(own, (v, j) => v / rows.length / ((total[j] - v) / rest)) : undefined,
    );
  }

  function showStar(star) {
    const r = star < 0 ? -1 : row[star];
    line(page.models.spectra.star, r < 0 ? undefined : spectrum(r));
  }

  // Bands only where they help: for the populations picked, or when there are few.
  function emphasise() {
    for (const panel of ["spectra", "ratio"]) {
      const { lines } = page.models[panel];
      for (const { position, line, band } of lines) {
        const on = page.active.has(position);
        const none = page.active.size === 0;
        line.glyph.setv({
          line_alpha: on || none ? 1 : 0.18,
          line_width: on ? 3 : 2,
        });
        band.visible = on || (none && (panel === "ratio" || lines.length <= 3));
        band.glyph.fill_alpha = on ? 0.22 : 0.13;
      }
    }
  }

  page.parts.push(() => {
    unpack();
    emphasise();
    page.on("selection", showSelection);
    page.on("active", () => {
      emphasise();
      showSelection();
    });
    page.on("star", (star) => showStar(star < 0 ? page.pinned : star));
  });
})();
