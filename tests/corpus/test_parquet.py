"""Parquet files that unpack to far more than they are."""

from __future__ import annotations

import io
import random
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragdoll.corpus.formats import decoding, parquet
from tests.corpus.reading import in_one_folder, only, reason, records

MANY = 100_000
PREFIXES = {"column_encoding": {"text": "DELTA_BYTE_ARRAY"}, "use_dictionary": False}
SMALL_PAGES = {"write_batch_size": 1, "data_page_size": 1}


class Counted(io.BytesIO):
    """A file that counts the bytes of each reading."""

    def __init__(self, content: bytes) -> None:
        super().__init__(content)
        self.sizes: list[int] = []

    def read(self, size: int | None = -1) -> bytes:
        content = super().read(size)
        self.sizes.append(len(content))
        return content


def table(folder: Path, columns: dict[str, Any], **options: Any) -> Path:
    pq.write_table(pa.table(columns), folder / "a.parquet", compression="zstd", **options)
    return folder / "a.parquet"


def rows_at_once(file: Path) -> set[int]:
    with file.open("rb") as content:
        return {len(batch) for batch in parquet.batches(parquet.opened(content), content, 128)}


@pytest.mark.parametrize(
    ("columns", "options"),
    [
        ({"text": ["x" * 10 * MANY]}, {"use_dictionary": False}),
        ({"text": ["x" * 10 * MANY]}, {"data_page_version": "2.0"}),
        ({"text": ["a", "b"], "more": ["x" * 10 * MANY, ""]}, {}),
        ({"text": ["x" * (MANY // 2)] * 60}, {**PREFIXES, **SMALL_PAGES}),
        ({"text": ["a"] * 100, "list": [[0] * 5000] * 100}, SMALL_PAGES),
    ],
    ids=["plain", "dictionary", "other column", "prefixes", "list"],
)
def test_pages_that_unpack_to_far_more_than_they_are_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, columns: dict[str, Any], options: Any
) -> None:
    monkeypatch.setattr(decoding, "MAX_BYTES", MANY)
    file = table(tmp_path, columns, **options)
    assert reason(file).endswith(" unpacks to far more than it is")


def test_columns_that_together_unpack_to_far_more_than_they_are_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet, "HELD", 10 * MANY)
    columns = {"text": ["a"] * 9, **{f"c{number}": ["x" * MANY] * 9 for number in range(9)}}
    file = table(tmp_path, columns)
    assert rows_at_once(file) == {1}, "a row of it has nearly all that may be held"
    file = table(tmp_path, {**columns, "more": ["x" * 2 * MANY] * 9})
    assert reason(file).endswith("its columns unpack to far more than they are")


def test_of_two_headers_of_a_page_the_one_of_its_type_is_read() -> None:
    sizes = b"\x15\x14\x15\0"
    first, second = b"\x2c\x15\x02\x15\x0e\x25\0\0", b"\x3c\x15\x04\x35\x02\0"
    for kind, values, encoding in ((b"\0", 1, 7), (b"\x06", 2, 1)):
        head = b"\x15" + kind + sizes + first + second + b"\0"
        pages = parquet._pages(io.BytesIO(head), parquet._Column(0, len(head)))
        assert list(pages) == [parquet._Page(10, 0, values, encoding)]


def test_a_group_without_rows_has_none(tmp_path: Path) -> None:
    some = pa.table({"text": ["a"]})
    with pq.ParquetWriter(tmp_path / "a.parquet", some.schema) as file:
        for rows in (some.slice(1), some):
            file.write_table(rows)
    assert [record.text for record in records(tmp_path / "a.parquet")] == ["a"]


def test_pages_that_are_long_and_hardly_packed_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoding, "MAX_BYTES", MANY)
    draw = random.Random(0)
    texts = [draw.randbytes(MANY // 4).hex() for _ in range(8)]
    lists = [list(draw.randbytes(MANY)) for _ in texts]
    file = table(tmp_path, {"text": texts, "list": lists}, use_dictionary=False)
    assert [record.text for record in records(file)] == texts


def test_few_rows_are_read_at_once_where_they_may_be_large(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet, "HELD", 10 * MANY)
    assert rows_at_once(table(tmp_path, {"text": ["short"] * 300})) == {128, 300 - 2 * 128}
    assert rows_at_once(table(tmp_path, {"text": ["x" * MANY] * 300})) <= set(range(1, 11))
    file = table(tmp_path, {"text": ["x" * MANY] * 30}, write_batch_size=1, **PREFIXES)
    assert rows_at_once(file) <= set(range(1, 11))


def test_a_page_that_states_more_than_its_column_has_is_damaged(tmp_path: Path) -> None:
    pq.write_table(
        pa.table({"text": ["x" * 500]}),
        tmp_path / "a.parquet",
        compression="none",
        use_dictionary=False,
    )
    content = bytearray((tmp_path / "a.parquet").read_bytes())
    with (tmp_path / "a.parquet").open("rb") as file:
        ((column,),) = parquet._groups(file)
        (page,) = parquet._pages(file, column)
    # The header begins with the kind, and the bytes unpacked and packed, twice as numbers.
    size = bytes([page.packed * 2 & 127 | 128, page.packed * 2 >> 7])
    head = bytes(content[column.start : column.start + 8])
    assert head[2:8] == b"\x15" + size + b"\x15" + size
    content[column.start + 6 : column.start + 8] = b"\xfe\x7f"
    (tmp_path / "a.parquet").write_bytes(content)
    assert reason(tmp_path / "a.parquet").endswith("a page ends behind its column")


def test_no_column_is_read_as_a_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet, "_READ_BUFFER", 2**14)
    draw = random.Random(0)
    columns = {name: [draw.randbytes(500).hex() for _ in range(200)] for name in ("text", "more")}
    file = Counted(table(tmp_path, columns, use_dictionary=False, **SMALL_PAGES).read_bytes())
    assert sum(len(batch) for batch in parquet.batches(parquet.opened(file), file, 128)) == 200
    assert max(file.sizes) <= parquet._MAX_HEADER < len(file.getvalue()) // 4


@pytest.mark.parametrize(
    ("bound", "said"),
    [("_MAX_HEADER", "a header is cut off"), ("_MAX_FOOTER", "footer is damaged")],
)
def test_no_more_is_read_of_a_header_or_a_footer_than_they_may_have(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bound: str, said: str
) -> None:
    file = table(tmp_path, {"text": ["x"]})
    assert only(file).text == "x"
    monkeypatch.setattr(parquet, bound, 8)
    assert reason(file).endswith(said)


@pytest.mark.parametrize(
    "facts", [{9: 4, 7: 97}, {9: 4, 7: -1}, {9: -4, 7: 8}, {9: 101, 7: 0}, {9: 50, 11: 4, 7: 97}]
)
def test_a_column_lies_in_its_file(facts: dict[int, int]) -> None:
    assert parquet._column({9: 4, 7: 96}, 100) == (4, 100)
    with pytest.raises(ValueError, match="a column ends behind the file"):
        parquet._column(facts, 100)


@in_one_folder
@given(
    texts=st.lists(st.text(), min_size=1, max_size=30),
    version=st.sampled_from(["1.0", "2.0"]),
    dictionary=st.booleans(),
    rows=st.sampled_from([1, 7, 1000]),
    checksum=st.booleans(),
)
def test_pages_account_for_what_the_footer_says(
    tmp_path: Path, texts: list[str], version: Any, dictionary: bool, rows: int, checksum: bool
) -> None:
    columns = {"text": texts, "list": [[len(text)] * 3 for text in texts]}
    file = table(
        tmp_path,
        columns,
        data_page_version=version,
        use_dictionary=dictionary,
        row_group_size=rows,
        write_page_checksum=checksum,
    )
    footer = pq.read_metadata(file)
    with file.open("rb") as content:
        groups = list(parquet._groups(content))
        assert len(groups) == footer.num_row_groups
        for group, places in enumerate(groups):
            assert len(places) == footer.num_columns == 2
            for number, place in enumerate(places):
                column = footer.row_group(group).column(number)
                pages = list(parquet._pages(content, place))
                packed = sum(page.packed for page in pages)
                headers = column.total_compressed_size - packed
                unpacked = sum(page.unpacked for page in pages)
                assert unpacked + headers == column.total_uncompressed_size
                assert sum(page.values for page in pages) >= column.num_values
