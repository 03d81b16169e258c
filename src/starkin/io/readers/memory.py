"""Tables that are already in memory: astropy, pandas, polars, Arrow."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
from astropy.table import Table

from ...spectra import columns
from ...spectra.errors import StarkinError
from ..column_table import ARRAY_COLUMNS, ColumnTable, Ragged
from ..registry import register
from ..text_arrays import parse_arrays
from .text import to_column

__all__ = ["from_arrow"]


def _is_from(package: str, *names: str) -> Any:
    """Test for a class without importing the package that has it."""

    def accepts(item: Any) -> bool:
        return any(
            c.__module__.partition(".")[0] == package and c.__name__ in names
            for c in type(item).__mro__
        )

    return accepts


@register("astropy", "astropy.table.Table in memory", accepts=lambda item: isinstance(item, Table))
def read_astropy(table: Table) -> ColumnTable:
    result = ColumnTable("the astropy table", table.copy(copy_data=False))
    for name in list(result.scalars.colnames):
        column = result.scalars[name]
        if name.lower() in ARRAY_COLUMNS and column.dtype.kind in "US":
            # A CSV that astropy has read keeps its arrays as text.
            masked = np.ma.asarray(column)
            cells = pl.Series([None if m is np.ma.masked else str(m) for m in masked])
            _add_text(result, name.lower(), cells)
            result.scalars.remove_column(name)
    return result


@register("arrow", "pyarrow.Table in memory", accepts=_is_from("pyarrow", "Table"))
def read_arrow(table: pa.Table) -> ColumnTable:
    return from_arrow(table, "the Arrow table")


@register("polars", "polars.DataFrame in memory", accepts=_is_from("polars", "DataFrame"))
def read_polars(frame: pl.DataFrame) -> ColumnTable:
    return from_arrow(frame.to_arrow(), "the polars frame")


@register("pandas", "pandas.DataFrame in memory", accepts=_is_from("pandas", "DataFrame"))
def read_pandas(frame: Any) -> ColumnTable:
    frame = frame.reset_index() if frame.index.name is not None else frame
    try:
        table = pa.Table.from_pandas(frame, preserve_index=False)
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        detail = " ".join(str(a) for a in error.args)[:200]
        raise StarkinError(f"The pandas frame mixes types in a column: {detail}") from error
    return from_arrow(table, "the pandas frame")


def from_arrow(table: pa.Table, name: str) -> ColumnTable:
    """Columns of an Arrow table; units and descriptions from the fields' metadata."""
    result = ColumnTable(name, Table())
    units: dict[str, str] = {}
    names = [field.name for field in table.schema]
    if len(set(names)) < len(names):
        twice = next(n for n in names if names.count(n) > 1)
        raise StarkinError(f"{name} has two columns called {twice!r}.")
    for field in table.schema:
        column = table.column(field.name).combine_chunks()
        lower = field.name.lower()
        meta = {k.decode(): v.decode() for k, v in (field.metadata or {}).items()}
        if lower in ARRAY_COLUMNS:
            _add_array(result, lower, column)
            if meta.get("unit"):
                units[lower] = meta["unit"]
            continue
        result.scalars[field.name] = _scalar(column)
        result.scalars[field.name].description = meta.get("description")
        if meta.get("unit"):
            result.scalars[field.name].unit = meta["unit"]
    if units:
        result.scalars.meta["_units"] = units
    result.__post_init__()
    return result


def _scalar(column: pa.Array) -> Any:
    kind = column.type
    if pa.types.is_dictionary(kind):
        column = column.dictionary_decode()
        kind = column.type
    if pa.types.is_fixed_size_list(kind) or pa.types.is_list(kind) or pa.types.is_large_list(kind):
        cells = np.empty(len(column), dtype=object)
        cells[:] = [np.asarray(c) for c in column.to_pylist()] if len(column) else []
        from astropy.table import Column

        return Column(cells)
    plain = (pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean)
    if pa.types.is_null(kind):
        column = column.cast(pa.float64())
    elif not any(test(kind) for test in plain):
        column = column.cast(pa.large_string())
    series = pl.from_arrow(column)
    return to_column(pl.Series(series))


def _add_array(result: ColumnTable, name: str, column: pa.Array) -> None:
    kind = column.type
    if pa.types.is_null(kind):
        result.arrays[name] = Ragged(np.empty(0), np.zeros(len(column), dtype=np.int64))
        return
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        _add_text(result, name, pl.Series(pl.from_arrow(column)))
        return
    if pa.types.is_fixed_size_list(kind):
        column = column.cast(pa.large_list(kind.value_type))
    elif not (pa.types.is_list(kind) or pa.types.is_large_list(kind)):
        raise StarkinError(
            f"{result.name}: column {name!r} must hold one array of numbers a row, found {kind}."
        )
    inner = column.type.value_type
    if not (pa.types.is_floating(inner) or pa.types.is_integer(inner) or pa.types.is_null(inner)):
        raise StarkinError(
            f"{result.name}: column {name!r} must hold arrays of numbers, found {kind}."
        )
    lengths = pc.fill_null(pc.list_value_length(column), 0).to_numpy(zero_copy_only=False)
    flat = column.flatten()  # of the rows that are not null
    target = pa.float32() if pa.types.is_float32(inner) else pa.float64()
    numbers = pc.fill_null(flat.cast(target, safe=False), np.nan).to_numpy(zero_copy_only=False)
    result.arrays[name] = Ragged(numbers, lengths.astype(np.int64))


def _add_text(result: ColumnTable, name: str, cells: pl.Series) -> None:
    is_value = name == columns.coefficients(name[:2])
    ragged, problems = parse_arrays(cells, pl.Float64() if is_value else pl.Float32())
    result.arrays[name] = ragged
    for index, problem in problems.items():
        result.cell_errors.setdefault(index, f"{name} {problem}")
