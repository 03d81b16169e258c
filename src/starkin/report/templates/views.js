// What the three maps of stars show: axes, diagram, colours, the marked star.
"use strict";
(() => {
  const page = window.starkin;
  const shown = { latent: {}, hr: {}, sky: { x: "sky_x", y: "sky_y" } };

  function setAxis(panel, axis, name, flip) {
    const { figure, stars } = page.models[panel];
    const { low, high, label } = page.meta.columns[name];
    const [start, end] = flip ? [high, low] : [low, high];
    shown[panel][axis] = name;
    for (const glyph of [stars.glyph, stars.selection_glyph, stars.nonselection_glyph]) {
      glyph[axis] = { field: name };
    }
    figure[`${axis}_range`].setv({ start, end, reset_start: start, reset_end: end });
    (axis === "x" ? figure.below : figure.left)[0].axis_label = label;
  }

  function latentAxes() {
    const names = [...page.meta.latents, ...page.meta.labels];
    for (const axis of ["x", "y"]) {
      const select = page.element(`latent-${axis}`);
      shown.latent[axis] = page.meta.latent[axis];
      page.fillSelect(select, names, shown.latent[axis]);
      select.addEventListener("change", () => {
        setAxis("latent", axis, select.value, false);
        markStar();
      });
    }
  }

  function diagrams() {
    const views = page.meta.hr.views ?? [];
    const select = page.element("hr-view");
    if (!select || !views.length) return;
    shown.hr = { x: views[0].x, y: views[0].y };
    const note = page.element("hr-note");
    const before = note.textContent;
    const show = () => {
      note.textContent = `${before} ${views[select.selectedIndex].note}`.trim();
    };
    views.forEach((view) => select.add(new Option(view.title, view.title)));
    show();
    select.addEventListener("change", () => {
      const view = views[select.selectedIndex];
      setAxis("hr", "x", view.x, view.flip_x);
      setAxis("hr", "y", view.y, view.flip_y);
      show();
      markStar();
    });
  }

  function colours() {
    const { source, mapper, latent } = page.models;
    const select = page.element("colour-by");
    const byPopulation = { palette: mapper.palette, low: mapper.low, high: mapper.high };
    select.add(new Option("population", ""));
    page.fillSelect(select, [...page.meta.labels, ...page.meta.latents]);
    select.addEventListener("change", () => {
      const name = select.value;
      source.data.shade = name ? page.column(name) : Float32Array.from(page.position);
      if (name) {
        const { low, high, label } = page.meta.columns[name];
        mapper.setv({ palette: page.meta.sequential, low, high });
        latent.bar.title = label;
      } else {
        mapper.setv(byPopulation);
      }
      latent.bar.visible = Boolean(name);
      source.change.emit();
    });
  }

  let marked = -1;
  function markStar(star = marked) {
    marked = star;
    const data = {};
    for (const [panel, axes] of Object.entries(shown)) {
      for (const axis of ["x", "y"]) {
        const values = page.column(axes[axis]);
        data[`${panel}_${axis}`] = star < 0 ? [] : [values ? values[star] : NaN];
      }
    }
    const old = page.models.pin.data;
    if (Object.entries(data).some(([name, value]) => old[name]?.[0] !== value[0])) {
      page.models.pin.data = data;
    }
  }

  page.parts.push(() => {
    latentAxes();
    diagrams();
    colours();
    page.on("star", (star) => markStar(star < 0 ? page.pinned : star));
  });
})();
