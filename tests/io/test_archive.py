"""Downloads from an archive that forgets rows, fails and is killed half-way."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from astropy.table import Table

from starkin.io import read, write_spectra
from starkin.io.archive import ArchiveClient
from starkin.spectra import StarkinError


class FakeGaia:
    """`load_data` and `launch_job_async` as astroquery has them, over some stars.

    ``forget`` rows are left out of every first answer; ``fail`` is how many of
    the next calls raise.
    """

    def __init__(self, stars, folder: Path) -> None:
        self.stars, self.folder = stars, folder
        self.calls: list[list[int]] = []
        self.forget: set[int] = set()
        self.fail = 0

    def load_data(self, ids, *, data_release, retrieval_type, data_structure, format):
        assert (data_release, retrieval_type) == ("Gaia DR3", "XP_CONTINUOUS")
        assert (data_structure, format) == ("RAW", "fits")
        assert len(ids) <= 5000
        self.calls.append(list(ids))
        self._trouble()
        served = np.isin(self.stars.source_id, [i for i in ids if i not in self.forget])
        self.forget -= set(ids)
        if not served.any():
            return {}
        path = self.folder / "answer.fits"
        write_spectra(self.stars[served].replace(labels=None), path)
        return {"XP_CONTINUOUS_RAW.fits": [Table.read(path)]}

    def launch_job_async(self, query, *, upload_resource, upload_table_name, verbose):
        assert "FROM gaiadr3.gaia_source AS g JOIN tap_upload.asked" in query
        assert upload_table_name == "asked"
        self._trouble()
        ids = np.asarray(upload_resource["source_id"])[::-1][1:]  # other order, one row short
        table = Table({"SOURCE_ID": ids, "phot_g_mean_mag": ids % 1000 / 100.0})
        return SimpleNamespace(get_results=lambda: table)

    def _trouble(self) -> None:
        if self.fail:
            self.fail -= 1
            raise ConnectionError("503 busy")


@pytest.fixture
def gaia(make_spectra, tmp_path: Path) -> FakeGaia:
    return FakeGaia(make_spectra(10), tmp_path)


def client(gaia: FakeGaia, **how) -> ArchiveClient:
    settings = {"batch": 4, "wait": 0.0, "photometry": ("phot_g_mean_mag",), "service": gaia}
    return ArchiveClient(**settings | how)


def test_what_was_asked_comes_in_order_with_photometry(gaia: FakeGaia, tmp_path: Path) -> None:
    ids = gaia.stars.source_id.tolist()
    seen: list[tuple[int, int]] = []
    result = client(gaia).download(
        [*ids, ids[0]], tmp_path / "xp", progress=lambda done, total: seen.append((done, total))
    )
    assert result.missing == []
    assert seen == [(4, 10), (8, 10), (10, 10)]
    back = read(result.files)
    assert back.source_id.tolist() == ids
    np.testing.assert_array_equal(back.values, gaia.stars.values)
    np.testing.assert_array_equal(back.correlations, gaia.stars.correlations)
    expected = gaia.stars.source_id % 1000 / 100.0
    expected[[3, 7, 9]] = np.nan  # the row that each answer lacks
    np.testing.assert_array_equal(back.label("phot_g_mean_mag"), expected)
    assert str(back.labels["phot_g_mean_mag"].unit) == "mag"
    assert len(read(tmp_path / "xp")) == 10


def test_rows_left_out_are_asked_for_again(gaia: FakeGaia, tmp_path: Path) -> None:
    ids = gaia.stars.source_id.tolist()
    gaia.forget = {ids[1], ids[6]}
    result = client(gaia).download(ids, tmp_path / "xp")
    assert gaia.calls == [ids[:4], [ids[1]], ids[4:8], [ids[6]], ids[8:]]
    assert result.missing == []
    assert read(result.files).source_id.tolist() == ids


def test_sources_without_a_spectrum_are_reported(gaia: FakeGaia, tmp_path: Path) -> None:
    ids = gaia.stars.source_id.tolist()
    result = client(gaia).download([ids[0], 11, 12, 13, 14, 15, 16, 17], tmp_path / "xp")
    assert result.missing == [11, 12, 13, 14, 15, 16, 17]
    assert len(result.files) == 1


def test_a_broken_download_goes_on_where_it_stopped(gaia: FakeGaia, tmp_path: Path) -> None:
    ids = gaia.stars.source_id.tolist()
    downloads = client(gaia, retries=0, photometry=())
    downloads.download(ids[:4], tmp_path / "xp")
    gaia.fail = 1
    with pytest.raises(StarkinError, match=r"after 1 attempts \(503 busy\); 4 sources are done"):
        downloads.download(ids, tmp_path / "xp")
    gaia.calls.clear()
    assert read(downloads.download(ids, tmp_path / "xp").files).source_id.tolist() == ids
    assert gaia.calls == [ids[4:8], ids[8:]]


def test_trouble_that_passes_is_tried_again(gaia: FakeGaia, tmp_path: Path) -> None:
    gaia.fail = 3
    ids = gaia.stars.source_id.tolist()
    assert client(gaia).download(ids[:2], tmp_path / "xp").missing == []


def test_the_limit_of_the_archive() -> None:
    with pytest.raises(StarkinError, match=r"batch must lie in 1\.\.5000"):
        ArchiveClient(batch=5001)
