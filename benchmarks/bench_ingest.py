"""Reading the archive's bulk files: rows/s and peak memory, side by side in one run.

    python benchmarks/bench_ingest.py            20,000 rows with correlations (0.82 GB plain)
    python benchmarks/bench_ingest.py --quick    1,000 rows

Each reader runs alone in a fresh process. It gets the ``.csv.gz``, does all its
work from import to a Parquet file on disk with number columns, and reports its
own wall time (import of the library not counted, compiled code warm) and the
peak of its resident memory. GaiaXPy refuses ``.csv.gz``: its file is unpacked
first and that time is not counted. Prints a Markdown table, writes
``bench-out/ingest.json``.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from bulk_file import BANDS, write_bulk

ARRAYS = [
    f"{band}_{name}"
    for band in BANDS
    for name in ("coefficients", "coefficient_errors", "coefficient_correlations")
]
_BUFFER = 1 << 20


def _unpack(opened) -> int:  # type: ignore[no-untyped-def]
    size = 0
    with opened as stream:
        while piece := stream.read(_BUFFER):
            size += len(piece)
    return size


def unpack_isal(path: Path, out: Path) -> Callable[[], object]:
    from isal import igzip

    return lambda: _unpack(igzip.open(path))


def unpack_zlib(path: Path, out: Path) -> Callable[[], object]:
    import gzip

    return lambda: _unpack(gzip.open(path))


def starkin(path: Path, out: Path, correlations: bool = True) -> Callable[[], object]:
    from starkin.io.ingest import ingest

    return lambda: ingest(path, out / "store", correlations=correlations)


def starkin_without(path: Path, out: Path) -> Callable[[], object]:
    return starkin(path, out, correlations=False)


def polars(path: Path, out: Path) -> Callable[[], object]:
    import polars as pl

    def run() -> None:
        rows = pl.scan_csv(path, comment_prefix="#", null_values="null", infer_schema_length=100)
        lists = [
            pl.col(name).str.strip_chars('"[]()').str.split(", ").cast(
                pl.List(pl.Float64 if name.endswith("coefficients") else pl.Float32)
            )
            for name in ARRAYS
        ]  # fmt: skip
        rows.with_columns(lists).sink_parquet(out / "a.parquet")

    return run


def pandas(path: Path, out: Path) -> Callable[[], object]:
    import numpy as np
    import pandas as pd

    def numbers(cell: object) -> object:
        return None if not isinstance(cell, str) else np.fromstring(cell[1:-1], sep=",")

    def run() -> None:
        # A piece at a time, or 20,000 rows would take 3 GB.
        import pyarrow as pa
        import pyarrow.parquet as pq

        writer = None
        for frame in pd.read_csv(path, comment="#", na_values="null", chunksize=2000):
            for name in ARRAYS:
                frame[name] = frame[name].map(numbers)
            table = pa.Table.from_pandas(frame, schema=writer and writer.schema)
            writer = writer or pq.ParquetWriter(out / "a.parquet", table.schema)
            writer.write_table(table)
        if writer is not None:
            writer.close()

    return run


def gaiaxpy(path: Path, out: Path) -> Callable[[], object]:
    import gzip

    from gaiaxpy.input_reader.input_reader import InputReader

    plain = out / "XpContinuousMeanSpectrum_0.csv"
    with gzip.open(path) as packed, plain.open("wb") as file:
        shutil.copyfileobj(packed, file, _BUFFER)

    def run() -> None:
        from gaiaxpy import calibrate

        # To memory only: its reader has no writer of coefficients.
        InputReader(str(plain), calibrate, False).read()

    return run


READERS: dict[str, tuple[Callable[[Path, Path], Callable[[], object]], str]] = {
    "unpack_isal": (unpack_isal, "unpacking alone, isal (igzip)"),
    "unpack_zlib": (unpack_zlib, "unpacking alone, zlib (Python's gzip)"),
    "starkin": (starkin, "starkin ingest"),
    "starkin_without": (starkin_without, "starkin ingest, correlations left out"),
    "polars": (polars, "polars (strip_chars, split, cast, sink_parquet)"),
    "pandas": (pandas, "pandas (2,000 rows at a time, numpy.fromstring)"),
    "gaiaxpy": (gaiaxpy, "GaiaXPy's reader (plain .csv, to memory)"),
}


def _child(name: str, path: Path, small: Path) -> None:
    """Time one reader in this process and print the figures as JSON."""
    setup = READERS[name][0]
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        warm, out = Path(folder) / "warm", Path(folder) / "out"
        warm.mkdir()
        out.mkdir()
        setup(small, warm)()
        run = setup(path, out)
        os.sync()
        start, busy = time.perf_counter(), time.process_time()
        run()
        seconds, busy = time.perf_counter() - start, time.process_time() - busy
        written = sum(f.stat().st_size for f in out.rglob("*.parquet"))
    # Not getrusage's maximum, which a child inherits from the process that forked it.
    status = Path("/proc/self/status").read_text()
    peak = int(status.split("VmHWM:")[1].split()[0]) * 1024
    print(json.dumps({"seconds": seconds, "cpu": busy, "peak": peak, "written": written}))


def _store_rate(path: Path, folder: Path) -> dict[str, float]:
    """Stars/s out of a store without correlations, labels and with labels."""
    from starkin.io.ingest import ingest
    from starkin.io.store import Store

    store = Store.open(ingest(path, folder / "rate", correlations=False).store)
    whole = store.read()
    large = Store.create(folder / "large", store.grid)
    times = max(1, 400_000 // len(whole))
    for i in range(times):
        large.append(whole.replace(source_id=whole.source_id + i))
    rates = {}
    for name, columns in (("spectra alone", []), ("with all labels", None)):
        best = min(
            _timed(lambda c=columns: [len(b) for b in large.batches(16384, columns=c)])
            for _ in range(3)
        )
        rates[name] = len(large) / best
    return rates


def _timed(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="1,000 rows")
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--repeat", type=int, default=3, help="runs of each; the best counts")
    parser.add_argument("--only", nargs="*", choices=READERS, default=list(READERS))
    parser.add_argument("--out", type=Path, default=Path("bench-out"))
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        _child(options.child[0], Path(options.child[1]), Path(options.child[2]))
        return
    rows = 1000 if options.quick else options.rows
    repeat = 1 if options.quick else options.repeat
    options.out.mkdir(exist_ok=True)
    results: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory(dir=options.out) as name:
        folder = Path(name)
        path = folder / "XpContinuousMeanSpectrum_000000-003111.csv.gz"
        small = folder / "XpContinuousMeanSpectrum_small.csv.gz"
        plain = write_bulk(path, rows)
        write_bulk(small, 50, seed=1)
        packed = path.stat().st_size
        print(f"{rows:,} rows, {plain / 1e9:.3f} GB plain, {packed / 1e9:.3f} GB gzipped\n")
        # Readers take turns, so that a busy minute falls on all of them.
        for _ in range(repeat):
            for reader in options.only:
                command = [sys.executable, __file__, "--child", reader, str(path), str(small)]
                done = subprocess.run(command, capture_output=True, text=True, check=False)
                if done.returncode:
                    print(f"{reader} failed: {done.stderr.strip().splitlines()[-1:]}")
                    continue
                figures = json.loads(done.stdout.strip().splitlines()[-1])
                if reader not in results or figures["seconds"] < results[reader]["seconds"]:
                    results[reader] = figures
        rates = _store_rate(path, folder)
    unpacking = results.get("unpack_isal", {}).get("seconds")
    print("| reader | s | CPU s | rows/s | times unpacking (isal) | peak memory [MB] |")
    print("|---|---|---|---|---|---|")
    for reader, figures in results.items():
        ratio = f"{figures['seconds'] / unpacking:.2f}" if unpacking else ""
        print(
            f"| {READERS[reader][1]} | {figures['seconds']:.2f} | {figures['cpu']:.2f} | "
            f"{rows / figures['seconds']:,.0f} | {ratio} | {figures['peak'] / 1e6:,.0f} |"
        )
    print("\n| reading the store | stars/s |\n|---|---|")
    for name, rate in rates.items():
        print(f"| {name} | {rate:,.0f} |")
    summary = {
        "rows": rows, "plain_bytes": plain, "packed_bytes": packed, "cores": os.cpu_count(),
        "readers": results, "store_stars_per_second": rates,
    }  # fmt: skip
    (options.out / "ingest.json").write_text(json.dumps(summary, indent=1))


if __name__ == "__main__":
    main()
