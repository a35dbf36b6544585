"""Files that are one document, and what decides which files are read."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Callable
from pathlib import Path
from random import Random

from ragdoll.corpus.documents import Reading
from ragdoll.corpus.formats.decoding import UnreadableError
from ragdoll.corpus.formats.files import read
from ragdoll.corpus.passages import cut
from ragdoll.corpus.sources.ignored import rules_of
from ragdoll.corpus.sources.python_package import PythonSource
from tests.fuzz.harness import Case, FindingError, Prepare
from tests.fuzz.mutation import mutated

_TEXT = (
    "A lock guards a resource. Two words… “Quoted?” 東京は。大きい。\n\n# Heading\n\nMore text.\n"
    * 4
)
_MARKDOWN = b"""---
title: Locks
year: 2020
date: 2001-12-14t21:59:43.10-05:00
ratio: 0.5
tags: [a, b, {c: d}]
big: 0x1F
day: 2002-12-14
none: ~
set: !!set {x, y}
bin: !!binary aGVsbG8=
long: |
  some
  text
? complex
: value
...
# Body

Text.
"""
_ALIASES = b"---\na: &x [1, 2]\nb: *x\n---\n```\n# no heading\n```\n# Heading #\ntext\n"
_PAGE = b"""<!doctype html><html><head><meta charset=utf-8><title>A page</title><style>p{}</style>
</head><body><nav><a href=/>home</a></nav><main><h1>Locks <a href=#x>#</a></h1>
<p>A <b>lock</b> guards &amp; &#x41; &nope; <img alt=pic src=x><ul><li>one<li>two
<ol><li>x</ol></ul><table><tr><th>a<th>b<tr><td>1<td rowspan=2 colspan=3>2</table>
<pre><code>x = 1
</code></pre><div hidden>no</div><p style='display: none'>no</p>
<dl><dt>a<dd>b</dl><blockquote>q<br>r</blockquote><svg><path/></svg></main>
<script>if (a < b) {}</script><!-- comment --><![CDATA[x]]></body></html>"""
_STRUCTURED = b"""Title
=====

= Head
* Org
\\section{Tex}
def f(x):
    return x

int main(void)
{
}

| a | b |
| - | - |
| 1 | 2 |

----
block
----
"""
_MAN = rb""".TH GIT 1
.SH NAME
git \- \fBthe\fR \(em \[aq] tool
.SS "Sub section"
.BR a "b c"
.IP "\(bu" 4
"""
_NOTEBOOK = json.dumps(
    {
        "cells": [
            {"cell_type": "markdown", "source": ["# A\n", "text"]},
            {
                "cell_type": "code",
                "source": "x",
                "outputs": [{"text": "1"}, {"data": {"text/plain": ["2"], "image/png": "A=="}}],
            },
        ],
        "metadata": {"language_info": {"name": "python"}},
    }
).encode()
_MAIL = b"""From: =?utf-8?q?M=C3=A4rz?= <a@example.org>
To: b@example.org
Subject: =?iso-8859-1?b?Tfxy?=
Date: Tue, 05 Mar 2024 10:00:00 +0100
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary=x

--x
Content-Type: text/html; charset=latin-1
Content-Transfer-Encoding: quoted-printable

<p>Gr=FC=DFe</p>
--x
Content-Type: application/pdf; name*=utf-8''a%20b.pdf
Content-Disposition: attachment

JVBERg==
--x--
"""
_HEADS = (
    *(b"--x\n", b"--x--\n", b"Content-Type: ", b"multipart/mixed; boundary=x\n", b"charset=idna\n"),
    *(
        b"Content-Transfer-Encoding: base64\n",
        b"=?utf-8?q?",
        b"?=",
        b"From x\n",
        b"Date: 99\n",
        b"\n\n",
    ),
    *(
        b"message/rfc822\n",
        b"filename*0*=",
        b"Content-Type: text/plain; charset=unknown\n",
        b"Cc: <@,;:",
    ),
)
_SEEDS: dict[str, tuple[bytes, ...]] = {
    "text.txt": (_TEXT.encode(), _TEXT.encode("utf-16"), b"\xef\xbb\xbf" + _TEXT.encode()),
    "markdown.md": (_MARKDOWN, _ALIASES),
    "page.html": (_PAGE,),
    **dict.fromkeys(("a.rst", "a.adoc", "a.org", "a.tex", "a.py", "a.c"), (_STRUCTURED,)),
    "a.srt": (b"1\n00:00:01,000 --> 00:00:02,000\n<i>Hello</i>\n\n2\n00:00:03,000 --> 4\nx\n",),
    "a.vtt": (b"WEBVTT\n\nNOTE x\n\nid\n00:01.000 --> 00:02.000 line:0\n<v Ann>Hello\n",),
    "a.1": (_MAN, b".Dd x\n.Dt LS 1\n.Sh NAME\n.Nm ls\n.Nd list\n.Xr a 1 ,\n.Op Fl l Ar x\n"),
    "a.ipynb": (_NOTEBOOK,),
    "a.eml": (_MAIL,),
    "a.mbox": (b"From x@example.org Tue Mar  5 10:00:00 2024\n" + _MAIL + b"\n" + _MAIL,),
}
_MARKS = (
    *(b"\n====\n", b"\n----\n", b"\n\n", b"# ", b"== ", b"* ", b"|", b"|-|", b"```\n", b"~~~~\n"),
    *(
        b"\\section{",
        b"}",
        b"\\begin{verbatim}",
        b"\\end{verbatim}",
        b"#+BEGIN_SRC\n",
        b"#+END_SRC\n",
    ),
    *(
        b"def f():\n",
        b"class A(",
        b"{\n",
        b"int f(",
        b"/* ",
        b"@x\n",
        b"data:a/b;base64,",
        b"A" * 100,
    ),
)
_ROFF = (
    b"\\f",
    b"\\(",
    b"\\[",
    b"\\*",
    b"\\s+",
    b'\\"',
    b".de x\n",
    b"..\n",
    b'"',
    b".Xr ",
    b".BR ",
)
_WORDS: dict[str, tuple[bytes, ...]] = {
    "text.txt": (b".", b"\xe3\x80\x82", b"\xc2\x85", b"\xe2\x80\xa8", b"\n#", b"x" * 3000),
    "markdown.md": (
        *(b"---\n", b"...\n", b"&a ", b"*a", b"!!int ", b"!!float ", b"!!bool ", b"!!timestamp "),
        *(b"!!set ", b"!!omap ", b"!!pairs ", b"!!binary ", b"!!python/object:os.system ", b"<<: "),
        *(
            b"? ",
            b": ",
            b"- ",
            b"|\n",
            b">-\n",
            b"0x" + b"f" * 4000,
            b"%YAML 1.1\n",
            b"''",
            b"1:2:3",
        ),
        *(b"2001-99-99", b"0001-01-01T00:00:00+23:59", b".inf", b"[" * 300, b"{a: " * 300),
    ),
    **dict.fromkeys(("a.rst", "a.adoc", "a.org", "a.tex", "a.py", "a.c"), _MARKS),
    **dict.fromkeys(
        ("a.srt", "a.vtt"), (b"-->", b"00:00", b"WEBVTT\n", b"NOTE", b"<", b">", b"{\\")
    ),
    "a.1": _ROFF,
    "a.ipynb": (
        b'"cells"',
        b"[" * 2000,
        b"{}",
        b"null",
        b'"source"',
        b'"code"',
        b"1e999",
        b'"level"',
    ),
    **dict.fromkeys(("a.eml", "a.mbox"), _HEADS),
    "page.html": (
        *(
            b"<div>",
            b"</div>",
            b"<table>",
            b"<td>",
            b"<tr>",
            b"<li>",
            b"<ol start=99999999>",
            b"<p>",
        ),
        *(b"<pre>", b"<h1>", b"</", b"<!--", b"-->", b"<![", b"<!", b"<?", b"&#", b"&#x110000;"),
        *(
            b"<td colspan=99999999>",
            b"<td rowspan=-1>",
            b"<br>",
            b"<script>",
            b"<title>",
            b"<code>`",
        ),
        *(b"<a href='", b"<input>", b"<meta charset=utf-7>", b"<meta charset=idna>", b"<svg>"),
    ),
}


def _document(name: str) -> Prepare:
    def prepare(folder: Path) -> Case:
        file = folder / name

        def case(draw: Random) -> None:
            file.write_bytes(mutated(draw.choice(_SEEDS[name]), draw, _WORDS[name]))
            check_records(file)

        for seed in _SEEDS[name]:
            file.write_bytes(seed)
            check_records(file)
        return case

    return prepare


def mutations(file: Path, seed: bytes, mutate: Callable[[bytes, Random], bytes]) -> Case:
    """Read mutations of a file, which itself has documents."""

    def case(draw: Random) -> None:
        file.write_bytes(mutate(seed, draw))
        check_records(file)

    file.write_bytes(seed)
    if not check_records(file):
        raise FindingError("the seed is not read")
    return case


def check_records(file: Path) -> int:
    """Read a file to its end; check that what is read can be stored, cut and shown."""
    count = 0
    for document in read(file):
        if isinstance(document, UnreadableError):
            check_reason(str(document))
            continue
        count += 1
        for text in (document.text, document.title, document.source):
            text.encode()
        json.dumps(document.metadata, allow_nan=False).encode()
        if not document.text.strip():
            raise FindingError("a document without text")
        for passage in cut(document, 16, lambda words: [1 + len(word) // 4 for word in words]):
            if not passage.text.strip():
                raise FindingError("a passage without text")
    return count


def check_reason(reason: str) -> None:
    """Check that a reason is one short line."""
    if not reason.strip() or "\n" in reason or len(reason) > 1000:
        raise FindingError(f"a reason that is no line: {reason[:100]!r}")


def _ignore_files(folder: Path) -> Case:
    seeds = (
        b"*.pyc\n!keep.pyc\n/build/\ndocs/**/x\n**/a/**/b/**\n[a-z!]*[[:digit:]]?\n\\#x\\ \n",
        b"a/**/a/**/a/**/a/**/a/**/b\n*a*a*a*a*b\n**/**/**/x\n[!]]\n[^a]x\na**b/**\n",
    )
    words = (b"**/", b"/**/", b"a/**/", b"*", b"?", b"[[:alpha:]]", b"[", b"]", b"!", b"\\", b"*a")
    paths = ("a/" * 30 + "c", "a" * 200, "docs/x/y/x.pyc", "a/b", "build", "é\udcff", "[a]", "a\nb")
    file = folder / ".gitignore"

    def case(draw: Random) -> None:
        file.write_bytes(mutated(draw.choice(seeds), draw, words))
        rules, reason = rules_of(file, folder)
        if reason:
            check_reason(reason)
        for path in paths:
            name = path.encode("utf-8", "surrogateescape")
            for rule in rules:
                rule.matches(name, draw.random() < 0.5)

    return case


def _python(folder: Path) -> Case:
    seed = Path(json.__file__).read_bytes()[:6000]
    words = (
        b"def f():\n",
        b'"""',
        b"class A:\n ",
        b"    ",
        b"# coding: utf-7\n",
        b"(" * 90,
        b"-" * 500,
    )
    sys.path.insert(0, str(folder))
    file = folder / "fuzzed_module.py"

    def case(draw: Random) -> None:
        file.write_bytes(mutated(seed, draw, words))
        importlib.invalidate_caches()
        reading = Reading()
        for document in PythonSource("fuzzed_module").documents(reading):
            document.text.encode()
        for item in reading.skipped:
            check_reason(item.reason)

    return case


TARGETS: dict[str, Prepare] = {
    "text": _document("text.txt"),
    "markdown": _document("markdown.md"),
    "html": _document("page.html"),
    "rst": _document("a.rst"),
    "asciidoc": _document("a.adoc"),
    "org": _document("a.org"),
    "latex": _document("a.tex"),
    "python-code": _document("a.py"),
    "code": _document("a.c"),
    "srt": _document("a.srt"),
    "vtt": _document("a.vtt"),
    "man": _document("a.1"),
    "notebook": _document("a.ipynb"),
    "mail": _document("a.eml"),
    "mbox": _document("a.mbox"),
    "gitignore": _ignore_files,
    "python": _python,
}
