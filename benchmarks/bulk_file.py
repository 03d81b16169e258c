"""Write a realistic ``XpContinuousMeanSpectrum`` file in the archive's bulk dialect.

Every number is random, its text is as long as the archive's: coefficients as
the shortest text of a float64 (about 17 digits), errors and correlations as
that of a float32 (about 8 digits). A row takes 42 kB, as the real ones do.
"""

from __future__ import annotations

import itertools
import zlib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

BANDS = ("bp", "rp")
N_COEFFICIENTS = 55
N_CORRELATIONS = N_COEFFICIENTS * (N_COEFFICIENTS - 1) // 2
# Band column, its ECSV type, and how its numbers are drawn.
_SCALARS = (
    ("basis_function_id", "int16"),
    ("degrees_of_freedom", "int16"),
    ("n_parameters", "int16"),
    ("n_measurements", "int16"),
    ("n_rejected_measurements", "int16"),
    ("standard_deviation", "float32"),
    ("chi_squared", "float32"),
)
_ARRAYS = (
    ("coefficients", "float64[null]"),
    ("coefficient_errors", "float32[null]"),
    ("coefficient_correlations", "float32[null]"),
)
_AFTER = (("n_relevant_bases", "int16"), ("relative_shrinking", "float32"))


def _header() -> str:
    lines = ["# %ECSV 1.0", "# ---", "# delimiter: ','", "# datatype:"]
    names = []
    for name, kind in (("source_id", "int64"), ("solution_id", "int64")):
        lines += ["# -", f"#   name: {name}", f"#   datatype: {kind}"]
        names.append(name)
    for band in BANDS:
        for name, kind in (*_SCALARS, *_ARRAYS, *_AFTER):
            lines += ["# -", f"#   name: {band}_{name}"]
            if "[" in kind:
                lines += ["#   datatype: string", f"#   subtype: '{kind}'"]
            else:
                lines += [f"#   datatype: {kind}"]
            names.append(f"{band}_{name}")
    return "\n".join(lines) + "\n" + ",".join(names) + "\n"


def _texts(numbers: np.ndarray) -> pa.Array:
    """One quoted ``"[a, b, …]"`` a row of ``numbers``."""
    flat = pa.array(np.ascontiguousarray(numbers).reshape(-1)).cast(pa.string())
    width = numbers.shape[1]
    offsets = np.arange(0, len(flat) + 1, width, dtype=np.int32)
    rows = pc.binary_join(pa.ListArray.from_arrays(offsets, flat), ", ")
    before, after, nothing = (pa.scalar(t, pa.string()) for t in ('"[', ']"', ""))
    return pc.binary_join_element_wise(before, rows, after, nothing)


def _block(first: int, n: int, missing: float, rng: np.random.Generator) -> bytes:
    # Gaia's ids grow with position: HEALPix in the high bits.
    source_id = (np.arange(first, first + n, dtype=np.int64) + 1) * 34_359_738_368 + 12_345
    parts = [source_id, np.full(n, 4_545_469_030_156_206_080)]
    brightness = 10 ** rng.uniform(1.5, 5, (n, 1))
    cells: list[pa.Array] = [pa.array(p).cast(pa.string()) for p in parts]
    for _ in BANDS:
        gone = rng.random(n) < missing
        shape = brightness * np.exp(-np.arange(N_COEFFICIENTS) / 4.0)
        coefficients = shape * rng.standard_normal((n, N_COEFFICIENTS)) + 1
        errors = (0.01 * np.sqrt(brightness) * rng.uniform(1, 6, coefficients.shape)).astype("f4")
        correlations = (0.2 * rng.standard_normal((n, N_CORRELATIONS))).clip(-0.99, 0.99)
        columns = [pa.array(rng.integers(low, high, n)) for low, high in
                   ((56, 57), (900, 6000), (55, 56), (950, 6100), (0, 150))]  # fmt: skip
        columns += [pa.array(rng.uniform(0.9, 1.6, n).astype("f4")) for _ in range(2)]
        texts = [column.cast(pa.string()) for column in columns]
        texts += [_texts(a) for a in (coefficients, errors, correlations.astype("f4"))]
        texts.append(pa.array(rng.integers(5, 55, n)).cast(pa.string()))
        texts.append(pa.array(rng.uniform(0.9, 1, n).astype("f4")).cast(pa.string()))
        null = pa.scalar("null", pa.string())
        cells += [pc.if_else(pa.array(gone), null, text) for text in texts]
    lines = pc.binary_join_element_wise(*cells, pa.scalar(",", pa.string()))
    return ("\n".join(lines.to_pylist()) + "\n").encode()


def write_bulk(path: Path, rows: int, *, seed: int = 0, missing: float = 0.002) -> int:
    """Write ``rows`` stars to ``path`` (gzip level 6) and return the plain size in bytes."""
    rng = np.random.default_rng(seed)
    packer = zlib.compressobj(6, zlib.DEFLATED, 31)
    size = 0
    with path.open("wb") as file:
        pieces = (_block(i, min(500, rows - i), missing, rng) for i in range(0, rows, 500))
        for plain in itertools.chain([_header().encode()], pieces):
            size += len(plain)
            file.write(packer.compress(plain))
        file.write(packer.flush())
    return size
