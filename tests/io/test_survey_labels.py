"""Catalogues of surveys in our names, joined to spectra by whatever id both have."""

from __future__ import annotations

import numpy as np
import pytest
from astropy import units as u
from astropy.table import Table

from starkin.io.join_labels import join_labels
from starkin.io.star_ids import id_of_name, ids_of_names
from starkin.io.survey_labels import read_labels, survey_labels
from starkin.spectra import SpectrumSet, StarkinError, WavelengthGrid

from . import survey_files as files

GRID = WavelengthGrid(np.linspace(5000, 5010, 3), "Angstrom")


def spectra_of(ids, **labels):
    n = len(ids)
    ones = np.ones((n, 3))
    return SpectrumSet(ids, ones, 0.1 * ones, GRID, labels=Table(labels), unit=u.one)


def test_ids_of_names():
    names = ["2M00000317+5821383", "2M00000317-5821383", "170418003701205", b"2M00000317+5821383 "]
    ids = ids_of_names(names)
    assert ids[0] == ids[3] != ids[1]
    assert ids[2] == 170418003701205
    assert (ids[:2] < 0).all()
    # Written down: ids must be the same on every machine and in every release.
    assert ids[0] == -4113420303328248149


def test_allstar(tmp_path):
    rows = [
        files.allstar_row(),
        files.allstar_row("2M2", GAIAEDR3_SOURCE_ID=11, TEFF=-9999.0, M_H=np.nan, MG_FE=0.3),
        files.allstar_row("2M3", GAIAEDR3_SOURCE_ID=0),
        files.allstar_row("2M2", GAIAEDR3_SOURCE_ID=11, EXTRATARG=16),
        files.allstar_row("2M4", GAIAEDR3_SOURCE_ID=12, SNR=10.0),
        files.allstar_row("2M4", GAIAEDR3_SOURCE_ID=12, SNR=90.0, TEFF=4000.0),
    ]
    files.allstar(tmp_path / "allStar.fits", rows)
    labels = read_labels(tmp_path / "allStar.fits")
    assert labels["apogee_id"].tolist() == ["2M00000317+5821383", "2M2", "2M3", "2M4"]
    assert labels["source_id"].tolist() == [422596679964513792, 11, id_of_name("2M3"), 12]
    assert labels["teff"].tolist()[0] == 4723.5
    assert np.isnan(labels["teff"][1])
    assert labels["teff"][3] == 4000
    assert labels["teff"].unit == "K"
    assert np.isnan(labels["m_h"][1])
    assert labels["mg_h"].tolist() == pytest.approx([-0.1, 0.1, -0.1, -0.1])
    assert labels["mg_h_error"][0] == pytest.approx(0.05)
    assert labels["fe_h"][0] == -0.2
    assert np.isnan(labels["na_h"][0])
    assert labels["radial_velocity"][0] == -25.4
    assert labels["radial_velocity"].unit == "km/s"
    for name, value in {"snr": 150, "starflag": 512, "aspcapflag": 0, "alpha_m": 0.05}.items():
        assert labels[name][0] == value
    assert labels["mg_h_flag"][0] == 0
    assert "PARAM" not in labels.colnames


def test_astra_and_galah_columns():
    astra = Table(
        {"sdss_id": [5], "gaia_dr3_source_id": [99], "teff": [4500.0], "e_teff": [9.0],
         "m_h_atm": [0.1], "mg_h": [0.2], "e_mg_h": [0.03], "mg_h_flags": [4], "v_rad": [3.0]}
    )  # fmt: skip
    labels = survey_labels(astra, "astraAllStarASPCAP")
    assert labels["source_id"].tolist() == [99]
    row = labels[0]
    assert (row["m_h"], row["mg_h"], row["mg_h_error"], row["mg_h_flag"]) == (0.1, 0.2, 0.03, 4)
    assert (row["teff_error"], row["radial_velocity"]) == (9, 3)
    galah = Table(
        {"sobject_id": [170418003701205], "gaiadr3_source_id": [7], "teff": [5800.0],
         "fe_h": [-0.5], "mg_fe": [0.2], "e_mg_fe": [0.1], "flag_mg_fe": [0], "rv_comp_1": [8.0],
         "flag_sp": [0]}
    )  # fmt: skip
    labels = survey_labels(galah, "GALAH")
    assert labels["mg_h"][0] == pytest.approx(-0.3)
    assert labels["radial_velocity"][0] == 8
    assert labels["sobject_id"][0] == 170418003701205
    with pytest.raises(StarkinError, match="identifies"):
        survey_labels(Table({"teff": [5000.0]}), "x.fits")


def test_other_tables_stay_as_they_are(tmp_path):
    table = Table({"source_id": [1, 2], "TEFF": [5000.0, 6000.0], "odd": ["a", "b"]})
    table.write(tmp_path / "labels.fits")
    assert read_labels(tmp_path / "labels.fits").colnames == ["source_id", "TEFF", "odd"]
    table.write(tmp_path / "labels.ecsv")
    assert read_labels(tmp_path / "labels.ecsv")["odd"].tolist() == ["a", "b"]
    with pytest.raises(StarkinError, match="does not exist"):
        read_labels(tmp_path / "none.fits")


def test_joined_by_the_survey_name():
    spectra = spectra_of([-5, -6, -7], apogee_id=["2M2", "2M1", "2M9"])
    table = Table({"source_id": [11, 12], "apogee_id": ["2M1", "2M2"], "teff": [5000.0, 4000.0]})
    joined, missing = join_labels(spectra, table)
    assert joined.source_id.tolist() == [12, 11, -7]
    assert joined.label("teff")[:2].tolist() == [4000, 5000]
    assert np.isnan(joined.label("teff")[2])
    assert missing == 1


def test_visits_are_joined_by_their_star():
    spectra = spectra_of([-5, -6], star_id=[11, 11])
    table = Table({"source_id": [11, 12], "teff": [5000.0, 4000.0]})
    joined, missing = join_labels(spectra, table)
    assert joined.source_id.tolist() == [-5, -6]
    assert joined.label("teff").tolist() == [5000, 5000]
    assert missing == 0


def test_two_spectra_of_one_star_keep_their_own_ids():
    spectra = spectra_of([170418003701205, 170418003701206], sobject_id=[1, 2])
    table = Table({"source_id": [7, 7], "sobject_id": [1, 2], "teff": [5000.0, 4000.0]})
    joined, _ = join_labels(spectra, table)
    assert joined.source_id.tolist() == [170418003701205, 170418003701206]


def test_what_cannot_be_joined():
    spectra = spectra_of([1, 2], apogee_id=["a", "b"])
    with pytest.raises(StarkinError, match="rename the id column"):
        join_labels(spectra, Table({"star": [1], "teff": [5000.0]}), "x.fits")
    with pytest.raises(StarkinError, match=r"x.fits shares no source_id"):
        join_labels(spectra, Table({"source_id": [3], "teff": [5000.0]}), "x.fits")
    with pytest.raises(StarkinError, match="twice"):
        join_labels(spectra, Table({"source_id": [1, 1], "teff": [5000.0, 1.0]}))
    with pytest.raises(StarkinError, match="empty"):
        join_labels(spectra, Table({"source_id": np.empty(0, np.int64)}))
