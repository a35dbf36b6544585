"""Names are remembered, on both sides of the number that is held in memory."""

from __future__ import annotations

import gc
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragdoll.corpus import names as module
from ragdoll.corpus.names import Seen, UniqueNames
from ragdoll.errors import CorpusError

KEYS = st.lists(st.sampled_from(["", "a", "b", "é", "\ud800", *map(str, range(12))]), max_size=40)
IN_MEMORY = pytest.mark.parametrize("in_memory", [0, 1, 5, 100])


@IN_MEMORY
@given(keys=KEYS)
def test_a_key_is_new_once(in_memory: int, keys: list[str]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_MOST_IN_MEMORY", in_memory)
        seen, before = Seen(), set[str]()
        for key in keys:
            assert seen.add(key) == (key not in before)
            before.add(key)


@IN_MEMORY
@given(keys=KEYS)
def test_a_count_is_how_often_a_key_came(in_memory: int, keys: list[str]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_MOST_IN_MEMORY", in_memory)
        seen, before = Seen(), Counter[str]()
        for key in keys:
            before[key] += 1
            assert seen.count(key) == before[key]


@IN_MEMORY
def test_what_was_added_counts_as_one_time(in_memory: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_IN_MEMORY", in_memory)
    seen = Seen()
    assert seen.add("a")
    assert [seen.count("a"), seen.count("a")] == [2, 3]
    assert not seen.add("a")


def test_a_text_and_its_bytes_are_one_key() -> None:
    seen = Seen()
    assert seen.add("é")
    assert not seen.add("é".encode())


def test_so_many_keys_that_most_are_in_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_IN_MEMORY", 1_000)
    seen = Seen()
    assert all(seen.add(str(number)) for number in range(10_000))
    assert not any(seen.add(str(number)) for number in range(10_000))
    assert len(seen._few) == 0


def test_threads_may_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_IN_MEMORY", 0)
    seen = Seen()
    for key in ("a", "b"):
        with ThreadPoolExecutor(1) as thread:
            assert thread.submit(seen.add, key).result()
            assert not thread.submit(seen.add, "a").result()
    del seen
    gc.collect()


def test_no_room_for_the_file_is_an_error_that_says_where_to_make_some(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_MOST_IN_MEMORY", 0)
    seen = Seen()
    seen.add("first")
    assert seen._many is not None
    seen._many.execute("PRAGMA max_page_count = 3")
    with pytest.raises(CorpusError, match=r"temporary files .* full") as caught:
        any(not seen.add(str(number)) for number in range(10_000))
    assert "TMPDIR" in str(caught.value.hint)


@IN_MEMORY
@given(names=st.lists(st.sampled_from(["a", "a~2", "a~2~2", "a~3", "b"]), max_size=12))
def test_names_are_unique_and_the_first_is_kept(in_memory: int, names: list[str]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_MOST_IN_MEMORY", in_memory)
        unique = UniqueNames()
        given_out = [unique(name) for name in names]
        assert len(set(given_out)) == len(names)
        assert all(made.startswith(name) for made, name in zip(given_out, names, strict=True))
        if names:
            assert given_out[0] == names[0]
        again = UniqueNames()
        assert [again(name) for name in names] == given_out


def test_the_same_name_is_numbered() -> None:
    unique = UniqueNames()
    assert [unique(name) for name in ["a", "a", "b", "a"]] == ["a", "a~2", "b", "a~3"]
