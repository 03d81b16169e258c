"""The interactive page: panels, tables and scripts put together into one file of HTML."""

from __future__ import annotations

from typing import Any

import numpy as np
from bokeh.document import Document
from bokeh.embed import file_html
from bokeh.events import DocumentReady
from bokeh.models import CustomJS
from bokeh.palettes import Cividis256
from bokeh.resources import INLINE
from jinja2 import Environment, PackageLoader, StrictUndefined

from ..latent.discovery import Discovery
from ..spectra.flags import Flag
from .facts import flatten, headline, null, number
from .panels.histogram import histogram_panel
from .panels.hr import hr_panel, hr_views, with_near_stars
from .panels.latent import latent_panel
from .panels.populations import population_table, vote_table
from .panels.scene import Panel, Scene
from .panels.sky import sky_panel
from .panels.spectra import ratio_panel, spectra_panel, star_spectra
from .panels.stability import jaccard_panel, null_panel, stability_panel
from .panels.sweep import sweep_panels, sweep_table
from .panels.training import training_panels
from .stars import Stars, input_name
from .style import NOISE, colour, population_label

__all__ = ["SCRIPTS", "render_page"]

#: In the order in which the page runs them.
SCRIPTS = ("core", "views", "spectra", "histogram", "star", "selection", "table")


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("starkin.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["number"] = number
    return environment


def _source(environment: Environment, name: str) -> str:
    assert environment.loader is not None
    return environment.loader.get_source(environment, name)[0]


def _scene(discovery: Discovery) -> Scene:
    stars = Stars.of(discovery)
    with_near_stars(stars)
    direct = {name: stars.columns[name].values for name in stars.latents}
    views = hr_views(stars)
    for name in (views[0].x, views[0].y) if views else ():
        direct[name] = stars.columns[name].values
    if stars.sky is not None:
        direct["sky_x"], direct["sky_y"] = stars.sky
    return Scene.of(discovery, stars, direct)


def _meta(scene: Scene, panels: dict[str, Panel], spectra: dict[str, Any]) -> dict[str, Any]:
    """Everything the scripts need to know that is not a column of numbers."""
    stars = scene.stars
    columns = {}
    needed = {v[axis] for v in panels["hr"].meta.get("views", []) for axis in "xy"}
    for name in {**dict.fromkeys([*stars.latents, *stars.labels]), **dict.fromkeys(sorted(needed))}:
        column = stars.columns[name]
        packed = scene.scales.get(name)
        columns[name] = {
            "label": column.label,
            "low": column.low,
            "high": column.high,
            "categories": list(column.categories),
            "description": column.description,
            "scale": [packed.offset, packed.scale] if packed else None,
        }
    return {
        "name": input_name(scene.discovery),
        "n_stars": len(stars),
        "latents": stars.latents,
        "labels": stars.labels,
        "columns": columns,
        "numbers": stars.numbers,
        "population_labels": [population_label(n) for n in stars.numbers],
        "colours": [colour(i) for i in range(len(stars.numbers))],
        "noise_colour": NOISE,
        "sequential": list(Cividis256),
        "flags": {str(bit): text for bit, text in Flag.legend().items()},
        "spectra": spectra,
        **{name: panels[name].meta for name in ("latent", "hr", "histogram")},
    }


def _flag_rows(scene: Scene) -> list[dict[str, Any]]:
    flags = scene.stars.flags
    return [
        {"bit": bit, "meaning": text, "stars": int(((flags & bit) != 0).sum())}
        for bit, text in Flag.legend().items()
    ]


def _chips(scene: Scene) -> list[dict[str, Any]]:
    stars = scene.stars
    table = scene.discovery.populations
    vote = {}
    if "simbad_type" in table.colnames:
        vote = {int(r["population"]): str(r["simbad_type"]) for r in table}
    chips = [
        {
            "position": i,
            "label": population_label(n),
            "colour": colour(i),
            "stars": int(stars.members(i).sum()),
            "vote": vote.get(n, "").strip("-–"),
        }
        for i, n in enumerate(stars.numbers)
    ]
    noise = int(stars.members(-1).sum())
    if noise:
        chips.append({"position": -1, "label": "none", "colour": NOISE, "stars": noise, "vote": ""})
    return chips


def render_page(discovery: Discovery) -> str:
    """The whole page as text: data, scripts and styles inside, nothing fetched."""
    scene = _scene(discovery)
    spectra, spectra_meta = star_spectra(scene)
    linked = [
        latent_panel(scene),
        hr_panel(scene),
        sky_panel(scene),
        spectra_panel(scene),
        ratio_panel(scene),
        histogram_panel(scene),
    ]
    sweep, training = sweep_panels(scene), training_panels(scene)
    still = [
        stability_panel(scene),
        jaccard_panel(scene),
        null_panel(scene),
        *sweep,
        *training,
    ]
    panels = {panel.name: panel for panel in (*linked, *still)}

    document = Document()
    models: dict[str, Any] = {
        "source": scene.source,
        "packed": scene.packed,
        "pin": scene.pin,
        "mapper": scene.mapper,
        "cube": spectra,
    }
    # Frozen, or Bokeh would walk through every model again after each step.
    with document.models.freeze():
        for panel in panels.values():
            if panel.figure is not None:
                panel.figure.name = panel.name
                document.add_root(panel.figure)
            if panel.models:
                models[panel.name] = panel.models
            if "hover" in panel.models:
                panel.models["hover"].callback = CustomJS(code="window.starkin.hover(cb_data)")
        document.js_on_event(
            DocumentReady, CustomJS(args={"models": models}, code="window.starkin.start(models)")
        )

    environment = _environment()
    statistics = discovery.statistics
    clustering = statistics.get("clustering") or {}
    model = statistics.get("model") or {}
    name = input_name(discovery)
    variables = {
        "name": name,
        "run": discovery.run,
        "model_id": discovery.catalogue.model_id,
        "cards": headline(discovery),
        "panels": panels,
        "sweep": sweep,
        "training": training,
        "chips": _chips(scene),
        "table": population_table(discovery, medians=False),
        "medians": population_table(discovery, medians=True),
        "votes": vote_table(discovery),
        "null": null(statistics),
        "sweep_table": sweep_table(scene),
        "tests": flatten(
            {k: statistics[k] for k in ("stability", "null", "distinctness") if statistics.get(k)}
        ),
        "clustering": flatten({k: v for k, v in clustering.items() if k != "sweep"}),
        "model": flatten({k: v for k, v in model.items() if k != "history"}),
        "provenance": _provenance(discovery.run),
        "flags": _flag_rows(scene),
        "left_out": scene.stars.left_out,
        "meta": _meta(scene, panels, spectra_meta),
        "n_pixels": len(spectra_meta["wavelength"]),
        "n_spectra": int(np.shape(spectra.data["flux"])[0]),
        "backend": _source(environment, "backend.js"),
        "style": _source(environment, "page.css"),
        "scripts": [_source(environment, f"{script}.js") for script in SCRIPTS],
    }
    return file_html(
        document,
        INLINE,
        title=f"Hidden populations in {name}",
        template=environment.get_template("page.html"),
        template_variables=variables,
        suppress_callback_warning=True,
    )


def _provenance(run: dict[str, Any]) -> list[tuple[str, list[tuple[str, str]]]]:
    """The run's record as titled groups, the single values first."""
    nested = {k: v for k, v in run.items() if isinstance(v, (dict, list))}
    single = flatten({k: v for k, v in run.items() if k not in nested})
    groups = [("Run", single)] if single else []
    for key, value in nested.items():
        rows = flatten(value if isinstance(value, dict) else {key: value})
        groups.append((key.replace("_", " ").capitalize(), rows))
    return groups
