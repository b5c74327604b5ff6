"""The local Cloud Storage, through Google's client and `gcloud storage`."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from google.api_core.exceptions import Conflict, NotFound, PreconditionFailed
from google.cloud import storage
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from gcp_emulators.core.http_server import HttpServer, original_host
from gcp_emulators.storage.api import storage_routes
from gcp_emulators.storage.store import ObjectStore
from tests.emulators import RunningObjectStore

pytestmark = pytest.mark.emulator

LARGE = 300_000


@pytest.fixture
def client(storage_buckets: dict[str, str]) -> Iterator[storage.Client]:
    made = storage.Client(project="velocast-local")
    yield made
    made.close()


@pytest.fixture
def reports(client: storage.Client, storage_buckets: dict[str, str]) -> storage.Bucket:
    return client.bucket(storage_buckets["reports"])


@pytest.fixture
def models(client: storage.Client, storage_buckets: dict[str, str]) -> storage.Bucket:
    """The versioned bucket."""
    return client.bucket(storage_buckets["models"])


def upload(bucket: storage.Bucket, name: str, text: str) -> storage.Blob:
    blob = bucket.blob(name)
    blob.upload_from_string(text)
    return blob


@pytest.mark.parametrize("name", ["plain.txt", "a/b/ç d+e%2F?.txt", "o/compose"])
def test_bytes_and_metadata_come_back(reports: storage.Bucket, name: str) -> None:
    blob = reports.blob(name)
    blob.metadata = {"made_by": "test"}
    blob.cache_control = "no-cache"
    blob.upload_from_string(b"\r\n--bytes--\r\n", content_type="application/x-test")
    found = reports.get_blob(name)

    assert found.download_as_bytes(checksum="md5") == b"\r\n--bytes--\r\n"
    assert (found.content_type, found.cache_control) == ("application/x-test", "no-cache")
    assert (found.metadata, found.size, found.metageneration) == ({"made_by": "test"}, 13, 1)
    assert found.generation == blob.generation


def test_a_resumable_upload_arrives_whole(reports: storage.Bucket) -> None:
    data = os.urandom(LARGE * 3)
    blob = reports.blob("large.bin", chunk_size=256 * 1024)
    blob.upload_from_string(data)
    assert reports.blob("large.bin").download_as_bytes() == data
    assert reports.blob("large.bin").download_as_bytes(start=10, end=19) == data[10:20]


def test_a_missing_object_or_bucket_is_not_found(
    client: storage.Client, reports: storage.Bucket
) -> None:
    with pytest.raises(NotFound, match="No such object"):
        reports.blob("none").download_as_bytes()
    with pytest.raises(NotFound, match="bucket does not exist"):
        client.bucket("velocast-local-nowhere").blob("x").upload_from_string("x")
    assert reports.get_blob("none") is None


Act = Callable[[storage.Bucket, int], object]

STALE: dict[str, Act] = {
    "multipart": lambda b, g: b.blob("x").upload_from_string("new", if_generation_match=g),
    "resumable": lambda b, g: b.blob("x", chunk_size=256 * 1024).upload_from_string(
        "n" * LARGE, if_generation_match=g
    ),
    "compose": lambda b, g: b.blob("x").compose([b.blob("part")], if_generation_match=g),
    "copy": lambda b, g: b.copy_blob(b.blob("part"), b, "x", if_generation_match=g),
    "rewrite": lambda b, g: b.blob("x").rewrite(b.blob("part"), if_generation_match=g),
    "delete": lambda b, g: b.blob("x").delete(if_generation_match=g),
    "download": lambda b, g: b.blob("x").download_as_bytes(if_generation_match=g),
    "reload": lambda b, g: b.blob("x").reload(if_generation_match=g),
    "patch": lambda b, g: patch(b.blob("x"), if_generation_match=g),
}


def patch(blob: storage.Blob, **conditions: int) -> None:
    blob.content_language = "fr"
    blob.patch(**conditions)


@pytest.mark.parametrize("act", STALE.values(), ids=STALE)
def test_a_stale_generation_is_refused(reports: storage.Bucket, act: Act) -> None:
    upload(reports, "part", "part")
    old = upload(reports, "x", "old").generation
    current = upload(reports, "x", "current").generation
    with pytest.raises(
        PreconditionFailed, match=f"generation is {current}, the request needs {old}"
    ):
        act(reports, old)
    assert reports.blob("x").download_as_bytes() == b"current"
    act(reports, current)


@pytest.mark.parametrize("act", list(STALE.values())[:5], ids=list(STALE)[:5])
def test_generation_zero_wants_no_object(reports: storage.Bucket, act: Act) -> None:
    upload(reports, "part", "part")
    act(reports, 0)
    with pytest.raises(PreconditionFailed, match="the request needs 0"):
        act(reports, 0)


def test_the_other_preconditions_hold_too(reports: storage.Bucket) -> None:
    blob = upload(reports, "x", "old")
    with pytest.raises(PreconditionFailed, match="which the request refuses"):
        reports.blob("x").upload_from_string("n", if_generation_not_match=blob.generation)
    with pytest.raises(PreconditionFailed, match="metageneration is 1, the request needs 2"):
        patch(reports.blob("x"), if_metageneration_match=2)
    patch(reports.blob("x"), if_metageneration_match=1)
    assert reports.get_blob("x").metageneration == 2
    with pytest.raises(PreconditionFailed, match="metageneration is 2"):
        reports.blob("x").delete(if_metageneration_match=1)
    with pytest.raises(PreconditionFailed, match="needs 1"):
        reports.copy_blob(blob, reports, "y", if_source_generation_match=1)


def test_a_media_upload_is_guarded_too(
    object_store: RunningObjectStore, reports: storage.Bucket
) -> None:
    url = f"{object_store.url}/upload/storage/v1/b/{reports.name}/o"
    query = {"uploadType": "media", "name": "lease.json", "ifGenerationMatch": "0"}
    answers = [httpx.post(url, params=query, json={"owner": n}) for n in (1, 2)]
    assert [a.status_code for a in answers] == [200, 412]
    assert answers[1].json()["error"]["errors"][0]["reason"] == "conditionNotMet"
    assert reports.blob("lease.json").download_as_text() == '{"owner":1}'
    assert answers[0].json()["contentType"] == "application/json"


def test_of_sixteen_racers_one_wins(reports: storage.Bucket) -> None:
    ready = threading.Barrier(16)

    def race(number: int) -> bool:
        blob = reports.blob("lease.json")
        ready.wait(10)
        try:
            blob.upload_from_string(str(number), if_generation_match=0)
        except PreconditionFailed:
            return False
        return True

    with ThreadPoolExecutor(16) as pool:
        won = list(pool.map(race, range(16)))
    assert sum(won) == 1
    assert reports.blob("lease.json").download_as_text() == str(won.index(True))


def test_a_wrong_checksum_is_refused(
    object_store: RunningObjectStore, reports: storage.Bucket
) -> None:
    url = f"{object_store.url}/upload/storage/v1/b/{reports.name}/o?uploadType=multipart"
    body = (
        b'--x\r\ncontent-type: application/json\r\n\r\n{"name":"x","md5Hash":"AAAA"}\r\n'
        b"--x\r\ncontent-type: text/plain\r\n\r\nhello\r\n--x--"
    )
    headers = {"content-type": "multipart/related; boundary='x'"}
    answer = httpx.post(url, content=body, headers=headers)
    assert answer.status_code == 400
    assert "Provided md5Hash AAAA does not match" in answer.json()["error"]["message"]


def test_a_versioned_bucket_keeps_generations(
    models: storage.Bucket, client: storage.Client
) -> None:
    first, second = upload(models, "m", "1").generation, upload(models, "m", "2").generation
    models.blob("m").delete()

    assert models.get_blob("m") is None
    kept = list(client.list_blobs(models, versions=True))
    assert [b.generation for b in kept] == [first, second]
    assert models.blob("m", generation=first).download_as_bytes() == b"1"
    models.blob("m", generation=first).delete()
    assert [b.generation for b in client.list_blobs(models, versions=True)] == [second]


def test_another_bucket_forgets_what_was_overwritten(
    reports: storage.Bucket, object_store: RunningObjectStore
) -> None:
    first = upload(reports, "m", "1").generation
    upload(reports, "m", "2")
    with pytest.raises(NotFound, match="No such object"):
        reports.blob("m", generation=first).download_as_bytes()


def test_lists_know_prefix_delimiter_glob_and_pages(
    client: storage.Client, reports: storage.Bucket
) -> None:
    names = ["a/1.json", "a/2.json", "a/b/3.json", "c.txt"]
    for name in names:
        upload(reports, name, name)

    folded = client.list_blobs(reports, prefix="a/", delimiter="/")
    assert [b.name for b in folded] == names[:2]
    assert folded.prefixes == {"a/b/"}
    assert [b.name for b in client.list_blobs(reports, page_size=1)] == names
    assert [b.name for b in client.list_blobs(reports, max_results=2)] == names[:2]
    assert [b.name for b in client.list_blobs(reports, match_glob="a/*.json")] == names[:2]
    assert [b.name for b in client.list_blobs(reports, match_glob="**/{3,4}.json")] == [names[2]]
    assert [
        b.name for b in client.list_blobs(reports, start_offset="a/2", end_offset="c")
    ] == names[1:3]


def test_compose_and_rewrite_copy_bytes_and_metadata(reports: storage.Bucket) -> None:
    source = reports.blob("s")
    source.metadata = {"k": "v"}
    source.upload_from_string("one", content_type="text/x")
    reports.blob("both").compose([source, source])
    token, _, total = reports.blob("copy").rewrite(source)

    assert reports.blob("both").download_as_text() == "oneone"
    assert (token, total) == (None, 3)
    copy = reports.get_blob("copy")
    assert (copy.metadata, copy.content_type) == ({"k": "v"}, "text/x")


def test_a_large_object_is_never_whole_in_memory(
    reports: storage.Bucket, object_store: RunningObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A copy of any size must be answered within a client's 60 s, as the cloud's is; 10 GB read and hashed are not."""

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("all bytes of an object are read at once")

    monkeypatch.setattr(object_store.store, "read", refuse)
    monkeypatch.setattr(object_store.store, "put", refuse)
    piece = 1 << 18
    data = os.urandom(piece * 5 + 7)
    blob = reports.blob("partial/large")
    with blob.open("wb", chunk_size=piece) as file:
        file.write(data)
    copied = reports.blob("large")
    assert copied.rewrite(blob)[0] is None
    blob.reload()
    copied.reload()
    assert (copied.size, copied.md5_hash) == (len(data), blob.md5_hash)
    blob.delete()
    with copied.open("rb", chunk_size=piece) as file:
        assert file.read() == data


def test_buckets_are_made_once(client: storage.Client, object_store: RunningObjectStore) -> None:
    bucket = client.bucket("velocast-local-passing")
    bucket.versioning_enabled = True
    client.create_bucket(bucket, location="EU")
    with pytest.raises(Conflict, match="velocast-local-passing"):
        client.create_bucket("velocast-local-passing")
    assert object_store.store.ensure_bucket("velocast-local-passing")["versioning"]["enabled"]
    assert "velocast-local-passing" in [b.name for b in client.list_buckets()]
    upload(client.bucket("velocast-local-passing"), "x", "x")
    with pytest.raises(Conflict, match="not empty"):
        client.bucket("velocast-local-passing").delete()
    object_store.store.empty_bucket("velocast-local-passing")
    client.bucket("velocast-local-passing").delete()
    assert not client.bucket("velocast-local-passing").exists()


def test_everything_is_there_after_a_restart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    generations: list[int] = []
    for data in (b"first", b"second"):
        store = ObjectStore(tmp_path)
        store.ensure_bucket("velocast-local-models", versioning=True)
        with HttpServer(storage_routes(store)) as server:
            monkeypatch.setenv("STORAGE_EMULATOR_HOST", server.url)
            blob = storage.Client(project="p").bucket("velocast-local-models").blob("x")
            if generations:
                assert blob.download_as_bytes() == b"first"
            blob.upload_from_string(data)
            generations.append(blob.generation)
        store.close()
    assert generations[1] > generations[0]


def test_a_small_object_takes_milliseconds(reports: storage.Bucket) -> None:
    upload(reports, "warm", "x")
    began = time.monotonic()
    for _ in range(50):
        upload(reports, "x", "small")
        reports.blob("x").download_as_bytes()
    assert (time.monotonic() - began) / 100 < 0.03


def test_a_proxy_request_is_answered_and_keeps_its_host() -> None:
    async def tell(request: Request) -> JSONResponse:
        query = request.query_params.get("q")
        return JSONResponse([request.url.path, original_host(request.scope), query])

    with HttpServer([Route("/apis/{rest:path}", tell)]) as server:
        with httpx.Client(proxy=server.url, trust_env=False) as client:
            through = client.get("http://europe-west1-run.stack.internal/apis/run/jobs?q=1").json()
        direct = httpx.get(f"{server.url}/apis/run/jobs").json()
    assert through == ["/apis/run/jobs", "europe-west1-run.stack.internal", "1"]
    assert direct == ["/apis/run/jobs", f"127.0.0.1:{server.port}", None]


@pytest.fixture
def gcloud(object_store: RunningObjectStore, tmp_path: Path) -> Callable[..., str]:
    """Run `gcloud storage` against the store; arguments -> standard output."""
    command = shutil.which("gcloud")
    if command is None:
        pytest.skip("gcloud is not installed: `gcloud storage` cannot be tried")
    token = tmp_path / "token"
    token.write_text("x", encoding="utf-8")
    variables = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "CLOUDSDK_CONFIG": str(tmp_path / "gcloud"),
        "CLOUDSDK_AUTH_DISABLE_CREDENTIALS": "true",
        "CLOUDSDK_AUTH_ACCESS_TOKEN_FILE": str(token),
        "CLOUDSDK_CORE_PROJECT": "velocast-local",
        "CLOUDSDK_CORE_DISABLE_PROMPTS": "1",
        "CLOUDSDK_API_ENDPOINT_OVERRIDES_STORAGE": f"{object_store.url}/storage/v1/",
    }

    def run(*arguments: str, **more: str) -> str:
        done = subprocess.run(
            [command, "storage", *arguments],
            check=False,
            env=variables | more,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


def test_gcloud_storage_goes_round_with_resumable_uploads(
    gcloud: Callable[..., str], storage_buckets: dict[str, str], tmp_path: Path
) -> None:
    base = f"gs://{storage_buckets['reports']}"
    sent, back = tmp_path / "sent.bin", tmp_path / "back.bin"
    sent.write_bytes(os.urandom(LARGE) + b"'\r\n--")
    gcloud("cp", str(sent), f"{base}/drift/sent.bin", CLOUDSDK_STORAGE_RESUMABLE_THRESHOLD="0")
    assert gcloud("ls", f"{base}/drift/").split() == [f"{base}/drift/sent.bin"]
    gcloud("cp", f"{base}/drift/sent.bin", str(back))
    assert back.read_bytes() == sent.read_bytes()
    gcloud("rm", "-r", f"{base}/drift/")
    assert gcloud("ls", base) == ""


def test_gcloud_storage_copies_and_shows_text(
    gcloud: Callable[..., str], storage_buckets: dict[str, str], tmp_path: Path
) -> None:
    sent = tmp_path / "summary.json"
    sent.write_text('{"champion": 7}\n', encoding="utf-8")
    gcloud("cp", str(sent), f"gs://{storage_buckets['reports']}/models/summary.json")
    assert (
        gcloud("cat", f"gs://{storage_buckets['reports']}/models/summary.json")
        == '{"champion": 7}\n'
    )
