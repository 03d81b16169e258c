"""The SIMBAD client against a real TAP server on this machine, with a real SQL engine behind it."""

from __future__ import annotations

import io
import sqlite3
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs

import numpy as np
import polars as pl
import pytest
from astropy.io import votable
from astropy.table import Table

from starkin.io.simbad import SimbadClient, read_crossmatch, types_query
from starkin.spectra import StarkinError

STARS = {
    5853498713190525696: ("LP?", "*|IR|LP?|V*"),
    5405570973190252288: ("C*", "*|C*"),
    5762406957886626816: ("EB*", None),
}
UNKNOWN = 4295806720


class TapServer:
    """A TAP service with SIMBAD's tables ``ident``, ``basic`` and ``alltypes``.

    ``plan`` says how to answer the next requests: ``"ok"`` (also when it is
    empty), ``"500"``, ``"error"`` (a VOTable that says so), ``"garbage"``,
    ``"cut"`` (overflow), ``"hang up"``.
    """

    def __init__(self) -> None:
        self.plan: list[str] = []
        self.queries: list[str] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                parameters = {k.upper(): v[0] for k, v in parse_qs(body).items()}
                assert self.path.endswith("/sync")
                assert parameters["REQUEST"] == "doQuery"
                assert parameters["LANG"] == "ADQL"
                outer.queries.append(parameters["QUERY"])
                how = outer.plan.pop(0) if outer.plan else "ok"
                if how == "hang up":
                    self.connection.close()
                    return
                if how == "500":
                    self.send_error(500)
                    return
                content = (
                    b"<html>busy</html>"
                    if how == "garbage"
                    else outer.answer(parameters["QUERY"], how)
                )
                self.send_response(200)
                self.send_header("Content-Type", "application/x-votable+xml")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/simbad/sim-tap"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def answer(self, query: str, how: str) -> bytes:
        if how == "error":
            return (
                b'<?xml version="1.0"?><VOTABLE version="1.4" '
                b'xmlns="http://www.ivoa.net/xml/VOTable/v1.3"><RESOURCE type="results">'
                b'<INFO name="QUERY_STATUS" value="ERROR">1 unresolved identifier</INFO>'
                b"</RESOURCE></VOTABLE>"
            )
        rows = _database().execute(query).fetchall()
        columns = zip(*rows, strict=True) if rows else ([], [], [])
        table = Table()
        for name, cells in zip(("gaia_id", "main_type", "other_types"), columns, strict=True):
            table[name] = np.array(["" if cell is None else cell for cell in cells], dtype=np.str_)
        document = votable.from_table(table)
        resource = document.resources[0]
        resource.type = "results"
        status = "OVERFLOW" if how == "cut" else "OK"
        resource.infos.append(votable.tree.Info(name="QUERY_STATUS", value=status))
        buffer = io.BytesIO()
        document.to_xml(buffer)
        return buffer.getvalue()


def _database() -> sqlite3.Connection:
    """A miniature of SIMBAD: several names an object, types elsewhere."""
    connection = sqlite3.connect(":memory:")
    connection.executescript(
        "CREATE TABLE basic (oid INTEGER, main_id TEXT, otype TEXT);"
        "CREATE TABLE ident (id TEXT, oidref INTEGER);"
        "CREATE TABLE alltypes (oidref INTEGER, otypes TEXT);"
    )
    for oid, (source_id, (main, others)) in enumerate(STARS.items(), start=1):
        connection.execute("INSERT INTO basic VALUES (?, ?, ?)", (oid, f"Name {oid}", main))
        for name in (f"Gaia DR3 {source_id}", f"Gaia DR2 {source_id}", f"HD {oid}"):
            connection.execute("INSERT INTO ident VALUES (?, ?)", (name, oid))
        if others is not None:
            connection.execute("INSERT INTO alltypes VALUES (?, ?)", (oid, others))
    return connection


@pytest.fixture
def tap() -> Iterator[TapServer]:
    server = TapServer()
    yield server
    server.server.shutdown()
    server.server.server_close()


def client(tap: TapServer, **how) -> SimbadClient:
    return SimbadClient(**{"url": tap.url, "wait": 0.01, "pause": 0.0, "timeout": 10.0} | how)


def test_types_in_the_order_asked(tap: TapServer) -> None:
    ids = [UNKNOWN, *STARS, UNKNOWN]
    table = client(tap).query(ids)
    assert table["source_id"].tolist() == ids
    assert table["main_type"].tolist() == ["", "LP?", "C*", "EB*", ""]
    assert table["other_types"].tolist() == ["", "*|IR|LP?|V*", "*|C*", "", ""]
    assert table["main_type"].description


def test_the_query_is_plain_adql() -> None:
    query = types_query([12, 13])
    assert "FROM ident" in query
    assert "JOIN basic ON ident.oidref = basic.oid" in query
    assert query.endswith("WHERE ident.id IN ('Gaia DR3 12', 'Gaia DR3 13')")


def test_batches_and_progress(tap: TapServer) -> None:
    seen: list[tuple[int, int]] = []
    ids = list(range(1, 8))
    client(tap, batch=3).query(ids, progress=lambda done, total: seen.append((done, total)))
    assert [q.count("Gaia DR3") for q in tap.queries] == [3, 3, 1]
    assert seen == [(3, 7), (6, 7), (7, 7)]


@pytest.mark.parametrize("trouble", ["500", "garbage", "cut", "hang up"])
def test_trouble_that_passes_is_tried_again(tap: TapServer, trouble: str) -> None:
    tap.plan = [trouble, trouble]
    table = client(tap).query(STARS)
    assert table["main_type"].tolist() == ["LP?", "C*", "EB*"]
    assert len(tap.queries) == 3


def test_trouble_that_stays_is_one_clear_error_and_keeps_what_came(
    tap: TapServer, tmp_path: Path
) -> None:
    cache = tmp_path / "types.csv"
    tap.plan = ["ok", *["500"] * 3]
    asking = client(tap, batch=1, retries=2, cache=cache)
    with pytest.raises(StarkinError, match=r"after 3 attempts .*1 answers are in .*types\.csv"):
        asking.query(STARS)
    asked = len(tap.queries)
    assert asking.query(STARS)["main_type"].tolist() == ["LP?", "C*", "EB*"]
    assert len(tap.queries) == asked + 2  # the first star came from the cache


def test_a_refusal_is_not_tried_again(tap: TapServer) -> None:
    tap.plan = ["error"]
    with pytest.raises(StarkinError, match=r"SIMBAD refused the query: .*unresolved identifier"):
        client(tap).query(STARS)
    assert len(tap.queries) == 1


def test_nobody_listens() -> None:
    asking = SimbadClient(url="http://127.0.0.1:9/tap", retries=1, wait=0.01)
    with pytest.raises(StarkinError, match="cannot be reached after 2 attempts"):
        asking.query([1])


def test_the_cache_answers_the_second_time_and_offline(tap: TapServer, tmp_path: Path) -> None:
    cache = tmp_path / "deep" / "types.csv"
    ids = [*STARS, UNKNOWN]
    first = client(tap, cache=cache).query(ids)
    again = client(tap, cache=cache).query(ids)
    assert len(tap.queries) == 1  # also "SIMBAD does not know it" is an answer
    offline = SimbadClient(cache=cache, offline=True).query([*ids, 77])
    assert offline["main_type"].tolist() == [*first["main_type"], ""]
    assert again["other_types"].tolist() == first["other_types"].tolist()


def test_a_cache_cut_by_a_kill_loses_one_line(tap: TapServer, tmp_path: Path) -> None:
    cache = tmp_path / "types.csv"
    client(tap, cache=cache).query(STARS)
    whole = cache.read_bytes()
    cache.write_bytes(whole[:-15])
    table = client(tap, cache=cache).query(STARS)
    assert table["main_type"].tolist() == ["LP?", "C*", "EB*"]
    assert tap.queries[-1].count("Gaia DR3") == 1
    assert cache.read_bytes() == whole


def test_a_file_that_is_no_cache(tap: TapServer, tmp_path: Path) -> None:
    cache = tmp_path / "notes.csv"
    cache.write_text("a,b\n1,2\n")
    with pytest.raises(StarkinError, match=r"notes\.csv is no SIMBAD cache"):
        client(tap, cache=cache).query([1])
    assert cache.read_text() == "a,b\n1,2\n"


def test_offline_needs_a_cache() -> None:
    with pytest.raises(StarkinError, match="needs a cache"):
        SimbadClient(offline=True)


# --- a user's own table ------------------------------------------------------
@pytest.mark.parametrize(
    ("id_name", "type_name"),
    [
        ("source_id", "main_type"),
        ("Gaia", "OTYPE"),
        ("dr3_source_id", "otype"),
        ("gaia_id", "Type"),
    ],
)
@pytest.mark.parametrize("suffix", ["csv", "fits", "parquet", "ecsv", "vot"])
def test_usual_column_names(tmp_path: Path, id_name: str, type_name: str, suffix: str) -> None:
    path = tmp_path / f"match.{suffix}"
    table = Table({"ra": [1.0, 2.0], id_name: [11, 12], type_name: ["EclBin", "C*?"]})
    if suffix == "parquet":
        pl.DataFrame({n: table[n].tolist() for n in table.colnames}).write_parquet(path)
    else:
        table.write(path, format={"vot": "votable", "ecsv": "ascii.ecsv"}.get(suffix, suffix))
    found = read_crossmatch(path)
    assert found["source_id"].tolist() == [11, 12]
    assert found["main_type"].tolist() == ["EB*", "C*?"]  # a label becomes its code


def test_named_columns_text_ids_and_repeats() -> None:
    frame = pl.DataFrame(
        {
            "who": ["Gaia DR3 5853498713190525697", "12", "12"],
            "what": ["RG*", "my own class", "C*"],
            "type": ["x", "y", "z"],
            "otypes": ["*|RG*", None, None],
        }
    )
    found = read_crossmatch(frame, source_id="who", main_type="what")
    assert found["source_id"].tolist() == [5853498713190525697, 12]
    assert found["main_type"].tolist() == ["RG*", "my own class"]
    assert found["other_types"].tolist() == ["*|RG*", ""]
    assert found.meta["repeated"] == 1


def test_crossmatches_that_cannot_be_used(tmp_path: Path) -> None:
    with pytest.raises(StarkinError, match="no column main_type or otype"):
        read_crossmatch(Table({"source_id": [1], "x": ["C*"]}))
    with pytest.raises(StarkinError, match="no column 'kind'"):
        read_crossmatch(Table({"source_id": [1], "otype": ["C*"]}), main_type="kind")
    with pytest.raises(StarkinError, match="floating point"):
        read_crossmatch(Table({"source_id": [1.0], "otype": ["C*"]}))
    with pytest.raises(StarkinError, match=r"row 2: 'HD 1' .* no Gaia DR3 id"):
        read_crossmatch(pl.DataFrame({"source_id": ["1", "HD 1"], "otype": ["C*", "C*"]}))
    with pytest.raises(StarkinError, match="does not exist"):
        read_crossmatch(tmp_path / "none.csv")
