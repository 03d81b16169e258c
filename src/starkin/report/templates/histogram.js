// Distribution of one column: all stars as blocks, populations and the selection as steps.
"use strict";
(() => {
  const page = window.starkin;
  const BINS = 48;
  let name, edges, bin;

  function bins() {
    const { low, high, categories } = page.meta.columns[name];
    const n = categories.length || BINS;
    const [first, last] = categories.length ? [-0.5, n - 0.5] : [low, high];
    const width = (last - first) / n;
    edges = Array.from({ length: n + 1 }, (_, i) => first + i * width);
    const values = page.column(name);
    bin = new Int16Array(values.length);
    for (let i = 0; i < values.length; i++) {
      const b = Math.floor((values[i] - first) / width);
      bin[i] = b >= 0 && b < n ? b : -1; // NaN compares false, and is left out
    }
  }

  function shares(count) {
    const all = count.reduce((a, b) => a + b, 0);
    return Array.from(count, (c) => (all ? c / all : 0));
  }

  function steps(source, share) {
    const x = [];
    const y = [];
    share.forEach((s, i) => {
      x.push(edges[i], edges[i + 1]);
      y.push(s, s);
    });
    source.data = { x, y };
  }

  function draw() {
    const { figure, all, lines, ticker, fixed } = page.models.histogram;
    const { label, categories } = page.meta.columns[name];
    const n = edges.length - 1;
    const k = page.meta.numbers.length;
    const counts = Array.from({ length: k + 1 }, () => new Float64Array(n));
    const whole = new Float64Array(n);
    for (let i = 0; i < bin.length; i++) {
      if (bin[i] < 0) continue;
      counts[page.position[i] + 1][bin[i]]++;
      whole[bin[i]]++;
    }
    all.data = { left: edges.slice(0, -1), right: edges.slice(1), top: shares(whole) };
    for (const { position, source } of lines) steps(source, shares(counts[position + 1]));
    const axis = figure.below[0];
    axis.setv({
      axis_label: label,
      major_label_overrides: new Map(categories.map((text, i) => [i, text])),
    });
    fixed.ticks = categories.map((_, i) => i);
    axis.ticker = categories.length ? fixed : ticker;
    figure.x_range.setv({ start: edges[0], end: edges[n] });
    showSelection();
  }

  function showSelection() {
    const { selection } = page.models.histogram;
    if (page.selected.length && !page.isOnePopulation()) {
      const count = new Float64Array(edges.length - 1);
      for (const i of page.selected) if (bin[i] >= 0) count[bin[i]]++;
      steps(selection, shares(count));
    } else {
      selection.data = { x: [], y: [] };
    }
    scale();
  }

  // The populations asked for stand out; the others fade, and do not set the height.
  function scale() {
    const { figure, all, lines, selection } = page.models.histogram;
    const some = page.active.size > 0 || page.selected.length > 0;
    let top = Math.max(0, ...all.data.top, ...selection.data.y);
    for (const { position, line, source } of lines) {
      const on = page.active.has(position);
      line.glyph.line_alpha = !some || on ? 1 : 0.15;
      line.glyph.line_width = on ? 2.4 : 1.6;
      if (!some || on) top = Math.max(top, ...source.data.y);
    }
    figure.y_range.setv({ start: 0, end: 1.08 * top || 1 });
  }

  page.parts.push(() => {
    const select = page.element("histogram-column");
    name = page.meta.histogram.column;
    page.fillSelect(select, [...page.meta.labels, ...page.meta.latents], name);
    select.addEventListener("change", () => {
      name = select.value;
      bins();
      draw();
    });
    bins();
    draw();
    page.on("selection", showSelection);
    page.on("active", showSelection);
  });
})();
