"""SIMBAD's tree of 2022, checked on paths that its documentation prints."""

from __future__ import annotations

import pytest

from starkin.io import simbad_types
from starkin.io.simbad_types import GROUPS, UNKNOWN, ancestors, find, group


@pytest.mark.parametrize(
    ("code", "path"),
    [
        ("PN", "* > Ev* > PN"),
        ("Mi*", "* > Ev* > AB* > Mi*"),
        ("cC*", "* > Ev* > Ce* > cC*"),
        ("WR*", "* > Ma* > sg* > s*b > WR*"),
        ("SX*", "* > MS* > BS* > SX*"),
        ("RB?", "* > Ev* > RG*"),
        ("No?", "* > ** > CV* > No*"),
        ("HH", "* > Y*O > out > HH"),
        ("BLL", "G > AGN > QSO > Bla > BLL"),
        ("Sy2", "G > AGN > SyG > Sy2"),
        ("LeQ", "grv > gLS > LeI > LeQ"),
        ("GlC", "Cl* > GlC"),
        ("SNR", "ISM > SNR"),
        ("Be*", "* > MS* > Be*"),
    ],
)
def test_published_paths(code: str, path: str) -> None:
    assert " > ".join(ancestors(code)) == path


@pytest.mark.parametrize(
    ("text", "code", "candidate"),
    [
        ("LongPeriodV*_Candidate", "LP?", True),
        ("eclbin", "EB*", False),
        ("PlanetaryNeb", "PN", False),
        (" C*? ", "C*?", True),
    ],
)
def test_labels_find_their_code(text: str, code: str, candidate: bool) -> None:
    found = find(text)
    assert found is not None
    assert (found.code, found.is_candidate) == (code, candidate)


@pytest.mark.parametrize(
    ("codes", "name"),
    [
        (("RG*", "RB?", "Ev*", "RGB*"), "giants"),
        (("MS*", "dS*", "gD*", "BS?"), "main sequence"),
        (("C*", "C*?"), "carbon stars"),
        (("Be*", "Be?", "Em*"), "emission-line stars"),
        (("EB*", "EB?"), "eclipsing binaries"),
        (("LP*", "LP?", "Mi*", "Mi?"), "long-period variables"),
        (("WD*", "WD?"), "white dwarfs"),
        (("G", "QSO", "Q?", "BLL", "IG"), "galaxies and quasars"),
        (("**", "SB*", "RS*"), "binaries"),
        (("*", "PM*"), "stars without type"),
        (("", "?", None, "nonsense"), UNKNOWN),
        (("X", "IR", "ev"), "other sources"),
    ],
)
def test_groups(codes: tuple[str | None, ...], name: str) -> None:
    assert {group(code) for code in codes} == {name}


def test_the_tree_is_sound() -> None:
    types = simbad_types._BY_CODE
    assert len(types) > 190  # the CDS counts some 200 types, candidates included
    for code, found in types.items():
        assert found.code == code
        assert all(parent in types for parent in found.path)
        assert found.path[-1] == code or found.is_candidate
        assert group(code) in GROUPS
    labels = [t.label.lower() for t in types.values()]
    assert len(set(labels)) == len(labels)
