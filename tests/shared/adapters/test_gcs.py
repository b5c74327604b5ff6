"""Objects and their generations, by the real client against the local Cloud Storage."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.emulators import PROJECT, RunningObjectStore
from velocast.adapters import gcs
from velocast.adapters.gcs import Objects, read_address
from velocast.core.errors import ObjectChanged, ObjectMissing


@pytest.fixture
def objects(storage_buckets: dict[str, str]) -> Objects:
    return Objects(PROJECT, storage_buckets["models"])


def write(objects: Objects, name: str, text: str, generation: int | None = None) -> int:
    return objects.write(name, text.encode(), content_type="text/plain", if_generation=generation)


def test_what_is_written_is_read_with_its_generation(objects: Objects):
    first = write(objects, "a/ü b.txt", "one")
    second = write(objects, "a/ü b.txt", "two")
    stored = objects.read("a/ü b.txt")
    assert (stored.data, stored.generation) == (b"two", second)
    assert second > first > 0
    assert objects.uri("a/ü b.txt") == f"gs://{objects.bucket}/a/ü b.txt"


def test_what_is_known_already_is_not_read_again(objects: Objects):
    with pytest.raises(ObjectMissing):
        objects.read_unless("board", 0)
    first = write(objects, "board", "one")
    fresh = objects.read_unless("board", 0)
    assert fresh is not None
    assert (fresh.data, fresh.generation) == (b"one", first)
    assert objects.read_unless("board", first) is None
    write(objects, "board", "two")
    assert objects.read_unless("board", first) == objects.read("board")
    objects.delete("board")
    with pytest.raises(ObjectMissing):
        objects.read_unless("board", first)


def test_reading_what_is_not_there_says_where(objects: Objects):
    with pytest.raises(ObjectMissing, match=f"gs://{objects.bucket}/none.txt does not exist"):
        objects.read("none.txt")
    assert not objects.exists("none.txt")


def test_a_write_that_must_be_the_first_fails_when_it_is_not(objects: Objects):
    generation = write(objects, "lease", "me", generation=0)
    with pytest.raises(
        ObjectChanged, match=rf"/lease: generation should be 0, but is {generation}"
    ):
        write(objects, "lease", "you", generation=0)
    assert objects.read("lease").data == b"me"


def test_a_write_replaces_only_the_generation_it_names(objects: Objects):
    old = write(objects, "x", "1")
    new = write(objects, "x", "2", generation=old)
    with pytest.raises(ObjectChanged, match=f"should be {old}, but is {new}.*read it again"):
        write(objects, "x", "3", generation=old)
    objects.delete("x")
    with pytest.raises(ObjectChanged, match=f"should be {new}, but is 0"):
        write(objects, "x", "4", generation=new)


def test_of_many_first_writes_one_wins(objects: Objects):
    def race(number: int) -> int | None:
        try:
            write(objects, "race", str(number), generation=0)
        except ObjectChanged:
            return None
        return number

    with ThreadPoolExecutor(8) as pool:
        winners = [n for n in pool.map(race, range(16)) if n is not None]
    assert len(winners) == 1
    assert objects.read("race").data == str(winners[0]).encode()


def test_a_retry_that_meets_its_own_write_is_a_success(
    objects: Objects, object_store: RunningObjectStore, monkeypatch: pytest.MonkeyPatch
):
    """The answer to the first attempt is lost: the client sends the same bytes again and is told 412."""
    from google.cloud.storage import Blob

    send = Blob._do_upload

    def lose_the_answer(blob: Blob, *args: object, **options: object) -> object:
        monkeypatch.setattr(Blob, "_do_upload", send)
        stream = args[1]
        send(blob, *args, **options)
        stream.seek(0)  # type: ignore[attr-defined]
        return send(blob, *args, **options)

    monkeypatch.setattr(Blob, "_do_upload", lose_the_answer)
    generation = write(objects, "once", "mine", generation=0)
    assert objects.read("once").generation == generation


def test_json_comes_back_as_it_was(objects: Objects):
    value = {"é": [1, 2.5, None], "b": {"c": True}}
    generation = objects.write_json("v.json", value, if_generation=0)
    assert objects.read_json("v.json") == (value, generation)
    write(objects, "v.json", "{broken")
    with pytest.raises(ValueError, match=r"v\.json \(generation \d+\) is not JSON"):
        objects.read_json("v.json")
    with pytest.raises(ValueError, match="not JSON compliant"):
        objects.write_json("v.json", float("nan"))


def test_a_content_addressed_object_is_written_once(objects: Objects):
    objects.write_once("sha256/ab", b"first", "text/plain")
    generation = objects.read("sha256/ab").generation
    objects.write_once("sha256/ab", b"first", "text/plain")
    assert objects.read("sha256/ab").generation == generation


def test_names_are_those_of_a_prefix_in_order(objects: Objects):
    for name in ("b/2", "a/1", "b/10", "c"):
        write(objects, name, "")
    assert objects.names("b/") == ["b/10", "b/2"]
    assert objects.names("none/") == []


def test_delete_respects_the_generation_and_takes_absence_for_done(objects: Objects):
    old = write(objects, "x", "1")
    new = write(objects, "x", "2")
    with pytest.raises(ObjectChanged, match=f"generation should be {old}"):
        objects.delete("x", if_generation=old)
    objects.delete("x", if_generation=new)
    objects.delete("x", if_generation=new)
    assert not objects.exists("x")


def test_an_object_is_read_by_its_address(objects: Objects):
    write(objects, "cities/oz.yaml", "name: Oz")
    assert read_address(f"gs://{objects.bucket}/cities/oz.yaml") == b"name: Oz"
    with pytest.raises(ObjectMissing, match=r"cities/kansas\.yaml does not exist"):
        read_address(f"gs://{objects.bucket}/cities/kansas.yaml")


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gcs, "PIECE_BYTES", 256 << 10)


@pytest.mark.usefixtures("small_pieces")
@pytest.mark.parametrize("size", [0, 10, 256 << 10, 700_001])
def test_an_object_is_written_and_read_in_pieces(objects: Objects, size: int):
    data = random.Random(size).randbytes(size)
    with objects.create("partial/x", content_type="text/plain") as file:
        for start in range(0, size, 99_999):
            file.write(data[start : start + 99_999])
        assert not objects.exists("partial/x")
    objects.move_once("partial/x", "kept/x")
    assert not objects.exists("partial/x")
    with objects.open("kept/x") as file:
        assert b"".join(iter(lambda: file.read(100_000), b"")) == data
        file.seek(5)
        assert file.read(3) == data[5:8]


@pytest.mark.usefixtures("small_pieces")
def test_an_object_whose_writing_failed_does_not_appear(objects: Objects):
    def fail() -> None:
        with objects.create("x", content_type="text/plain") as file:
            file.write(bytes(300 << 10))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert not objects.exists("x")


def test_an_object_in_pieces_takes_no_other_ones_place(objects: Objects):
    write(objects, "x", "one")
    with (
        pytest.raises(ObjectChanged, match="generation should be 0"),
        objects.create("x", content_type="text/plain") as file,
    ):
        file.write(b"two")
    write(objects, "y", "two")
    objects.move_once("y", "x")
    assert objects.read("x").data == b"one"
    assert not objects.exists("y")


def read_while_it_is_replaced(objects: Objects) -> str:
    write(objects, "x", "1" * (600 << 10))
    with objects.open("x") as file:
        begin = file.read(10)
        write(objects, "x", "2" * (600 << 10))
        return (begin + file.read()).decode()


@pytest.mark.usefixtures("small_pieces")
def test_pieces_of_two_generations_are_not_mixed(storage_buckets: dict[str, str]):
    versioned, other = (Objects(PROJECT, storage_buckets[name]) for name in ("models", "reports"))
    assert read_while_it_is_replaced(versioned) == "1" * (600 << 10)
    with pytest.raises(ObjectChanged, match="read it again"):
        read_while_it_is_replaced(other)


def test_opening_what_is_not_there_says_where(objects: Objects):
    with pytest.raises(ObjectMissing, match="nothing does not exist"), objects.open("nothing"):
        pass
