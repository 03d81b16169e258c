"""Catalogues that hold labels and no spectra: said so, rather than misread."""

from __future__ import annotations

from ...spectra import SpectrumSet
from ...spectra.errors import StarkinError
from ..fits_spectra import outline
from ..registry import Choices, register_spectra
from ..source import Source
from ..survey_labels import is_survey_catalogue

__all__: list[str] = []


def _is_catalogue(source: Source, head: bytes) -> bool:
    look = outline(source, head)
    return look is not None and any(is_survey_catalogue(names) for names in look.columns)


@register_spectra(
    "allstar", "APOGEE allStar and other catalogues: labels, no spectra", matches=_is_catalogue
)
def read_catalogue(source: Source, choices: Choices) -> SpectrumSet:
    raise StarkinError(
        f"{source.name} is a catalogue without spectra; give it as --labels beside the spectra."
    )
