"""The reader of CSV files, and the files that ship."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scaling_models import data, files


@pytest.fixture
def table(tmp_path: Path) -> Any:
    """Write a file and read it."""

    def read(content: str | bytes, *arguments: Any, **named: Any) -> dict[str, Any]:
        path = tmp_path / "t.csv"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return data.read_table(path, *arguments, **named)

    return read


def test_columns_become_arrays_of_floats(table: Any) -> None:
    found = table("# measured by hand\n\na,b\n1,2.5\n\n3,4e-3\n")
    assert list(found) == ["a", "b"]
    np.testing.assert_array_equal(found["a"], [1, 3])
    np.testing.assert_array_equal(found["b"], [2.5, 0.004])
    assert found["a"].dtype == np.float64


def test_columns_are_chosen_and_ordered_and_the_others_not_looked_at(table: Any) -> None:
    assert list(table("a,b,c\n1,x,3\n", ["c", "a"])) == ["c", "a"]


def test_text_missing_and_quotes(table: Any) -> None:
    found = table('name,x\n"Dallas, Texas",-\nTokyo,7\n', text=["name"], missing=["-"])
    assert list(found["name"]) == ["Dallas, Texas", "Tokyo"]
    np.testing.assert_array_equal(found["x"], [np.nan, 7])


def test_ragged_columns_end_early(table: Any) -> None:
    found = table("a,b\n1,2\n3,\n4,\n", ragged=True)
    assert [len(found[column]) for column in "ab"] == [3, 1]


def test_marks_and_line_ends_of_spreadsheets(table: Any) -> None:
    assert list(table("\ufeffa,b\r\n1,2\r\n")) == ["a", "b"]


def test_provenance(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("# one\n#two\na\n1\n")
    assert data.provenance(tmp_path / "t.csv") == "one\ntwo"


@pytest.mark.parametrize(
    ("content", "named", "sentence"),
    [
        ("a,b\n1,2\n1,abc\n", {}, "t.csv line 3, column b: 'abc' is not a number"),
        ("# c\na,b\n1,2\n1,abc\n", {}, "t.csv line 4, column b: 'abc' is not a number"),
        ("a,b\n1,nan\n", {}, "t.csv line 2, column b: 'nan' is not a number"),
        ("a,b\n1,inf\n", {}, "t.csv line 2, column b: 'inf' is not a number"),
        ("a,b\n1,1_000\n", {}, "t.csv line 2, column b: '1_000' is not a number"),
        ("a,b\n1,\n", {}, "t.csv line 2, column b: empty"),
        ("a,b\n1,-\n", {"missing": ["NA"]}, "t.csv line 2, column b: '-' is not a number"),
        ("a,b\n1,2\n,3\n4,5\n", {"ragged": True}, "t.csv line 3, column a: empty, yet the column goes on at line 4"),
        ("a,b\n1,2\n,\n4,5\n", {"ragged": True}, "t.csv line 3, column a: empty, yet the column goes on at line 4"),
        ("a,b\n1,2,3\n", {}, "t.csv line 2 has 3 cells under 2 columns"),
        ("a,b\n1\n", {}, "t.csv line 2 has 1 cells under 2 columns"),
        ("a,a\n1,2\n", {}, "t.csv line 1: two columns are called 'a'"),
        ("a,b\n1,2\n", {"columns": ["c"]}, "t.csv line 1: there is no column 'c', only a, b"),
        ("# only this\n", {}, "t.csv has no header line"),
        ("", {}, "t.csv has no header line"),
        ('a,b\n1,2\n"1,2\n', {}, "t.csv line 3 is not CSV: unexpected end of data"),
        (b"a,b\n1,2\n1,\xff\n", {}, "t.csv line 3 is not UTF-8 text"),
        ("a\n" + "1\n" * 50, {"limit": 99}, "t.csv holds more than 99 bytes: refused."),
        (
            gzip.compress(b"a\n" + b"1\n" * 10**6, mtime=0),
            {"limit": 10**6},
            "t.csv holds more than 1,000,000 bytes once unpacked",
        ),
        (gzip.compress(b"a\n1\n", mtime=0)[:-6], {}, "t.csv is not a whole gzip file"),
        (b"\x1f\x8bnonsense", {}, "t.csv is not a whole gzip file"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(table: Any, content: str | bytes, named: Any, sentence: str) -> None:
    with pytest.raises(ValueError, match=r"t\.csv") as caught:
        table(content, **named)
    assert str(caught.value).startswith(sentence)


def test_a_file_of_just_the_limit_is_read(table: Any) -> None:
    assert len(table("a\n" + "1\n" * 49, limit=100)["a"]) == 49


def test_the_haproxy_trace() -> None:
    trace = data.haproxy_trace()
    assert len(trace) == 16_000
    assert list(trace)[:2] == ["arrival_s", "demand_s"]
    assert [column for column in trace if column.endswith("_latency_s")] == list(trace)[2:]
    assert trace["arrival_s"].is_monotonic_increasing
    # A reply needs at least its demand; times of replies were kept to 0.1 ms.
    assert (trace["central_queue_latency_s"] > trace["demand_s"] - 1e-4).all()


def test_etcd_is_in_seconds() -> None:
    series = data.etcd_latency()
    assert len(series) == 10
    assert {name: len(series[name]) for name in ("const_put_paced", "const_rtt_2")} == {
        "const_put_paced": 300,
        "const_rtt_2": 120,
    }
    assert series["const_rtt_2"].min() == pytest.approx(0.0204, abs=1e-4)
    elections = data.etcd_elections()
    assert len(elections) == 43
    assert elections["seconds_to_new_leader"].min() > 0.9


def test_round_trips_are_in_seconds_with_gaps_only_on_ibms_diagonal() -> None:
    aws, ibm = data.round_trips("aws"), data.round_trips("ibm")
    assert aws.shape == ibm.shape == (10, 10)
    for frame in (aws, ibm):
        assert list(frame.index) == list(frame.columns)
    assert aws.loc["us-east-1", "us-west-2"] == pytest.approx(0.064)
    assert aws.notna().all(axis=None)
    np.testing.assert_array_equal(ibm.isna(), np.eye(10, dtype=bool))
    with pytest.raises(ValueError, match="provider must be one of aws, ibm; got 'azure'"):
        data.round_trips("azure")  # type: ignore[arg-type]


def test_twitters_exponents() -> None:
    exponents = data.twitter_zipf_exponents()["zipf_alpha"]
    assert (len(exponents), exponents.count()) == (54, 51)
    assert exponents.median() == pytest.approx(1.21, abs=0.005)


def test_published_values_have_sources_and_parameters() -> None:
    rows = data.published()
    assert rows["id"].is_unique
    assert set(rows["model"]) >= {"erlang_b", "erlang_c", "mmc", "mm1", "zipf_norm", "raft_commit", "rtt"}
    assert (rows["source"].str.len() > 0).all()
    assert rows.set_index("id").loc["oct-mmm-9-10", "parameters"] == {"lam": 9, "mu": 1, "c": 10}


def test_the_catalogue_lists_every_file_and_no_other() -> None:
    catalogue = data.catalogue()
    names = {path.name for path in files.folder("data").iterdir() if not path.name.startswith(".")}
    assert set(catalogue["name"]) == names - {"catalogue.csv"}
    assert catalogue.map(lambda cell: bool(cell)).all(axis=None), "a cell of the catalogue is empty"


def test_every_file_says_where_it_is_from() -> None:
    for path in files.folder("data").glob("*.csv*"):
        assert data.provenance(path), path.name


@pytest.mark.parametrize(
    ("named", "said"),
    [
        ({"columns": ["a", "a"]}, "'a' is named twice"),
        ({"counts": ["c"]}, "there is no column 'c', only a, b"),
        ({"text": ["c"]}, "there is no column 'c', only a, b"),
        ({"columns": "ab"}, r"columns must be a list of words, such as \['ab'\]"),
        ({"text": "a"}, r"text must be a list of words"),
        ({"missing": "NA"}, r"missing must be a list of words"),
    ],
)
def test_what_is_asked_of_a_table_wrongly_is_refused(table: Any, named: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        table("a,b\n1,2\n", **named)


def test_a_limit_below_one_byte_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"limit \(bytes\) must lie in \(0, inf\); got -5"):
        data.read_table(tmp_path / "any.csv", limit=-5)
