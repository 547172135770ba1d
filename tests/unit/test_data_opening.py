"""Whatever file a person has is opened at once, and every damaged record is named in its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.oddfiles import DAMAGED, ODD, REFUSED, Odd
from tui_tuner.config import DataSection
from tui_tuner.data.opening import open_source
from tui_tuner.data.table import Fault, Table
from tui_tuner.errors import TunerError


def name(odd: Odd) -> str:
    return odd.name


def opened(odd: Odd, folder: Path) -> Table:
    source = open_source(DataSection(source=str(odd.make(folder)), **odd.options))
    return source.main


@pytest.mark.parametrize("odd", REFUSED, ids=name)
def test_what_is_no_data_is_refused_with_the_reason(odd: Odd, tmp_path: Path) -> None:
    path = odd.make(tmp_path)
    with pytest.raises(TunerError) as caught:
        open_source(str(path))
    assert caught.value.code == odd.refusal
    assert str(path) in caught.value.where
    assert caught.value.fix


@pytest.mark.parametrize("odd", [*DAMAGED, *ODD], ids=name)
def test_every_record_comes_out_or_is_named(odd: Odd, tmp_path: Path) -> None:
    table = opened(odd, tmp_path)
    everything = list(table.rows())
    rows = [row for row in everything if not isinstance(row, Fault)]
    faults = [row for row in everything if isinstance(row, Fault)]
    if odd.name == "cut.jsonl.gz":  # what is left depends on the packing
        assert len(rows) > 1000 and [fault.code for fault in faults][-1] == "cut-file"
        return
    assert [(fault.place.row, fault.place.line, fault.code) for fault in faults] == odd.faults
    assert all(fault.message and fault.fix for fault in faults)
    assert (len(rows) if isinstance(odd.rows, int) else rows) == odd.rows
    notes = table.notes()
    for said in odd.said:
        assert any(said in note for note in notes), notes
    assert table.format == odd.format or not odd.format


@pytest.mark.parametrize("odd", [*DAMAGED, *ODD], ids=name)
def test_rows_by_number_are_the_rows_in_order(odd: Odd, tmp_path: Path) -> None:
    table = opened(odd, tmp_path)
    while not table.extend(1.0):
        pass
    everything = list(table.rows())
    assert len(everything) == len(table)
    step = max(len(everything) // 50, 1)
    for index in reversed(range(0, len(everything), step)):
        assert table.row(index) == everything[index]
    middle = len(everything) // 2
    assert list(table.rows(middle, middle + 3)) == everything[middle : middle + 3]
    for beyond in (-1, len(everything)):
        with pytest.raises(IndexError):
            table.row(beyond)
        with pytest.raises(IndexError):
            table.place(beyond)
    for index, row in enumerate(everything[:50]):
        if isinstance(row, Fault):
            assert table.place(index) == row.place
    table.close()
    table.close()
