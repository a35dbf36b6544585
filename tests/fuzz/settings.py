"""The configuration: its file and its environment variables."""

from __future__ import annotations

from pathlib import Path
from random import Random

from ragdoll import config
from ragdoll.settings import settings
from tests.fuzz.command import check_output, run
from tests.fuzz.harness import Case, FindingError, Prepare
from tests.fuzz.mutation import mutated

_WORDS = (
    *(b"[index]\n", b"[[index]]\n", b"[train]\n", b"[a.b.c]\n", b"= ", b'"""', b"'''", b"\\u0000"),
    *(b"\\uD800", b"\\U00110000", b"inf", b"nan", b"-nan", b"0xff", b"1_000", b"9" * 5000, b"0o7"),
    *(b"1979-05-27T07:32:00Z", b"07:32:00", b"true", b"[" * 2000, b"{a=" * 500, b"a." * 3000),
    *(b'"\\u001b[2J"', b'"\\u202e"', b'"a\\nb" = 1\n', b'path = "~root"', b'path = "~\\u0000"'),
)


def _file(folder: Path) -> Case:
    seed = Path(__file__).parents[2].joinpath("ragdoll.toml").read_bytes()
    seed += b'[index.metadata]\nyear = "integer"\n'
    file = folder / "ragdoll.toml"

    def case(draw: Random) -> None:
        file.write_bytes(mutated(seed, draw, _WORDS))
        if draw.random() < 0.05:
            check_output(run("inspect-model", "--config", file), folder)
        for _, value, origin in config.load(file, {}, {}).rows():
            if not isinstance(value, str) or not isinstance(origin, str):
                raise FindingError("a setting that cannot be shown")

    file.write_bytes(seed)
    config.load(file, {}, {})
    return case


def _environment(folder: Path) -> Case:
    names = [one.variable for one in settings().values()]
    values = (
        "1",
        "0.5",
        "auto",
        "true",
        "",
        "-1",
        "nan",
        "1e999",
        "9" * 5000,
        "a=b,c",
        "\udcff",
        "~x",
    )

    def case(draw: Random) -> None:
        name = draw.choice(names)
        if draw.random() < 0.2:
            name = name[: draw.randrange(len(name) + 1)] + draw.choice(("", "X", "_", "\n", "é"))
        value = draw.choice(values)
        if draw.random() < 0.5:
            value = mutated(value.encode("utf-8", "surrogateescape"), draw).decode(
                "utf-8", "surrogateescape"
            )
        config.load(None, {}, {name: value}).rows()

    return case


TARGETS: dict[str, Prepare] = {"config": _file, "environment": _environment}
