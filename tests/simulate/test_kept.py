"""Tables kept on disk: read when they are what they should be, made anew when not."""

from __future__ import annotations

import numpy as np
import pytest

from starkin.simulate.physics import kept, sampling
from starkin.simulate.physics.kept import VARIABLE, kept_on_disk


class Maker:
    """Counts how often it had to work."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self) -> dict[str, np.ndarray]:
        self.calls += 1
        return {"a": np.arange(3.0), "b": np.eye(2, dtype=np.float32)}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(tmp_path / "cache"))
    return tmp_path / "cache"


def again(make: Maker, depends_on: bytes = b"x") -> None:
    arrays = kept_on_disk("table", depends_on, make)
    np.testing.assert_array_equal(arrays["a"], [0, 1, 2])
    np.testing.assert_array_equal(arrays["b"], np.eye(2))
    assert set(arrays) == {"a", "b"}
    assert arrays["b"].dtype == np.float32


def test_a_table_is_made_once(folder):
    make = Maker()
    again(make)
    again(make)
    assert make.calls == 1
    assert [path.suffix for path in folder.iterdir()] == [".npz"]  # and nothing beside it


def test_whatever_it_depends_on_makes_another_table(folder, monkeypatch):
    make = Maker()
    again(make)
    again(make, b"y")
    assert make.calls == 2
    monkeypatch.setattr(kept, "_code", lambda: b"another version of the physics")
    again(make)
    assert make.calls == 3


def test_a_damaged_file_is_made_anew(folder):
    make = Maker()
    again(make)
    (path,) = folder.iterdir()
    whole = path.read_bytes()
    flipped = bytearray(whole)
    flipped[whole.index(np.arange(3.0).tobytes()) + 15] ^= 1
    foreign = folder / "foreign.npz"
    np.savez(foreign, digest=np.array("of another table"), a=np.zeros(3))
    pickled = folder / "pickled.npz"
    np.savez(pickled, a=np.array([{}], dtype=object))
    damages = [b"", whole[:-40], whole[: len(whole) // 2], bytes(flipped), b"not a table"]
    damages += [foreign.read_bytes(), pickled.read_bytes()]
    foreign.unlink()
    pickled.unlink()
    for n, damage in enumerate(damages, start=2):
        path.write_bytes(damage)
        again(make)
        assert make.calls == n
        again(make)  # and was mended
        assert make.calls == n


def test_nothing_is_kept_when_off_or_where_nothing_can_be_written(tmp_path, monkeypatch):
    make = Maker()
    monkeypatch.setenv(VARIABLE, "off")
    monkeypatch.chdir(tmp_path)
    again(make)
    blocked = tmp_path / "a-file"
    blocked.write_text("in the way")
    monkeypatch.setenv(VARIABLE, str(blocked))
    again(make)
    assert make.calls == 2
    assert list(tmp_path.iterdir()) == [blocked]


def test_files_of_old_versions_do_not_pile_up(folder):
    for version in range(12):
        again(Maker(), str(version).encode())
    assert len(list(folder.iterdir())) == 8


def test_the_engine_reads_what_it_computed(folder):
    """A process that finds the sampling of a grid has the very numbers of the one that made it."""
    wavelength = np.array([500.0, 504.0, 508.0])
    sampling._cached.cache_clear()
    made = sampling.sampling_for(wavelength)
    sampling._cached.cache_clear()
    read = sampling.sampling_for(wavelength)
    sampling._cached.cache_clear()
    assert read is not made
    assert len(list(folder.glob("sampling-*.npz"))) == 1
    np.testing.assert_array_equal(read.table.cross_sections, made.table.cross_sections)
    np.testing.assert_array_equal(read.table.wavelength_nm, made.table.wavelength_nm)
    np.testing.assert_array_equal(read.weights.numpy(), made.weights.numpy())
    np.testing.assert_array_equal(read.error, made.error)
    assert read.n_pixels == 3
