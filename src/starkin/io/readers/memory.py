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
from ..arrow import arrow_to_table
from ..column_table import ARRAY_COLUMNS, ColumnTable, Ragged
from ..registry import register
from ..text_arrays import parse_arrays

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
    """Columns of an Arrow table; units and descriptions from its header or its fields."""
    names = table.schema.names
    if len(set(names)) < len(names):
        twice = next(n for n in names if names.count(n) > 1)
        raise StarkinError(f"{name} has two columns called {twice!r}.")
    arrays = [n for n in names if n.lower() in ARRAY_COLUMNS]
    scalars = table.drop_columns(arrays) if arrays else table
    plain = pa.table(
        [_plain(scalars.column(i)) for i in range(scalars.num_columns)], names=scalars.schema.names
    )
    result = ColumnTable(name, arrow_to_table(plain.replace_schema_metadata(table.schema.metadata)))
    for field in table.schema:
        about = {k.decode(): v.decode() for k, v in (field.metadata or {}).items()}
        if field.name in arrays:
            _add_array(result, field.name.lower(), table.column(field.name).combine_chunks())
            if about.get("unit"):
                result.units[field.name.lower()] = about["unit"]
            continue
        column = result.scalars[field.name]
        column.description = column.description or about.get("description")
        if about.get("unit") and column.unit is None:
            column.unit = about["unit"]
    result.__post_init__()
    return result


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Numbers, truth values, text and lists as they are; anything else as text."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        column = column.cast(kind.value_type)
        kind = column.type
    if pa.types.is_null(kind):
        return column.cast(pa.float64())
    as_they_are = (
        pa.types.is_integer,
        pa.types.is_floating,
        pa.types.is_boolean,
        pa.types.is_nested,
        pa.types.is_string,
        pa.types.is_large_string,
    )
    return column if any(test(kind) for test in as_they_are) else column.cast(pa.large_string())


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
