"""HTML: what a reader of the page sees, as text with its headings."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragdoll.corpus.documents import Document
from ragdoll.corpus.formats.behind_wall.html import read_html
from ragdoll.corpus.formats.decoding import UnreadableError
from ragdoll.corpus.formats.files import read
from tests.corpus.reading import in_one_folder, only, reason, written


def page(folder: Path, body: str, head: str = "") -> Document:
    html = f"<!DOCTYPE html>\n<html><head>{head}</head>\n<body>{body}</body></html>\n"
    return only(written(folder, "a.html", html))


def text(folder: Path, body: str) -> str:
    return page(folder, body).text


# The text


def test_a_page_becomes_text_with_headings_and_lists(tmp_path: Path) -> None:
    body = """
      <h1>The <em>event</em> loop</h1>
      <p>It runs <a href="/callbacks">call_backs</a>,
         one <b>after</b> the other.<br>Always.</p>
      <h2>Timers <a class="headerlink" href="#timers">¶</a></h2>
      <ul><li>call_later<ul><li>with *args</li></ul></li><li>call_at</li></ul>
      <ol><li>first</li><li>second</li></ol>
    """
    assert text(tmp_path, body).splitlines() == [
        "# The event loop",
        "",
        "It runs call_backs,",
        "one after the other.",
        "Always.",
        "",
        "## Timers",
        "",
        "- call_later",
        "  - with *args",
        "- call_at",
        "",
        "1. first",
        "2. second",
    ]


@pytest.mark.parametrize(
    "link",
    [
        "<span class='mw-editsection'>[<a href='/e'>edit</a>]</span>",
        "<a href='/e' title='Edit this page'><svg></svg></a>",
        "<a href='/e' title='Edit this page'>pen</a>",
        "<a href='/e' rel='edit'>change</a>",
        "<a href='/e'>Edit on GitHub</a>",
        "<a href='/e'>View page source</a>",
    ],
)
def test_links_to_the_source_of_a_page_are_left_out(link: str, tmp_path: Path) -> None:
    kept = "<p>How to <a href='/edit'>edit a page</a> on GitHub.</p>"
    assert text(tmp_path, f"<h2>Timers{link}</h2>{kept}{link}") == (
        "## Timers\n\nHow to edit a page on GitHub."
    )


def test_how_a_word_sounds_does_not_part_it(tmp_path: Path) -> None:
    body = "<p><ruby>学<rp>(</rp><rt>がっ</rt><rp>)</rp>校<rt>こう</rt></ruby>へ行く</p>"
    assert text(tmp_path, body) == "学校へ行く"


def test_code_is_kept_line_by_line(tmp_path: Path) -> None:
    body = """<p>Call <code>f_1()</code>:</p>
      <pre><code class="py">def f():\n    <b>return</b> 1\n\nf()</code></pre>"""
    assert text(tmp_path, body) == "Call `f_1()`:\n\n```\ndef f():\n    return 1\n\nf()\n```"


def test_a_table_keeps_its_rows(tmp_path: Path) -> None:
    body = "<table><tr><th>a</th><th>b</th></tr><tr><td>1</td><td>2 <b>x</b></td></tr></table>"
    assert text(tmp_path, body) == "| a | b |\n| --- | --- |\n| 1 | 2 x |"


def test_a_table_that_lays_out_a_page_is_no_table(tmp_path: Path) -> None:
    body = """<table><tr><td>menu</td><td><h1>Title</h1><p>Text.</p>
      <table><tr><td>1<td>2</table></td></tr></table>"""
    found = text(tmp_path, body)
    assert "\n# Title\n\nText.\n" in found
    assert "| 1 | 2 |" in found
    assert "menu |" not in found


def test_an_image_is_its_description(tmp_path: Path) -> None:
    assert text(tmp_path, '<p>See <img src="x.png" alt="the loop"><img src="y.png">.') == (
        "See the loop."
    )


@pytest.mark.parametrize(
    "left_out",
    [
        "<script>x</script>",
        "<style>x</style>",
        "<template><p>x</p></template>",
        "<noscript>x</noscript>",
        "<svg><title>x</title><text>x</text></svg>",
        "<nav><a href='/'>x</a></nav>",
        "<header><a href='/'>x</a></header>",
        "<footer>x</footer>",
        "<aside>x</aside>",
        "<form><button>x</button><select><option>x</select><textarea>x</textarea></form>",
        "<iframe src='/'>x</iframe>",
        "<div role='navigation'>x</div>",
        "<div role='search'>x</div>",
        "<p hidden>x</p>",
        "<p aria-hidden='true'>x</p>",
        "<p style='color: red; DISPLAY :none'>x</p>",
        "<p style='visibility:hidden'>x</p>",
        "<!-- x -->",
        "<video><p>x</p></video>",
    ],
    ids=lambda html: html[:24],
)
def test_what_is_no_part_of_the_text_is_left_out(left_out: str, tmp_path: Path) -> None:
    assert text(tmp_path, f"{left_out}<p>kept</p>{left_out}") == "kept"


def test_a_page_that_is_shown_by_a_script_is_read(tmp_path: Path) -> None:
    html = '<html hidden><body style="display: none"><main hidden><p>kept</p></main></body></html>'
    assert only(written(tmp_path, "a.html", html)).text == "kept"


def test_a_form_around_a_page_is_read(tmp_path: Path) -> None:
    assert text(tmp_path, "<form><h1>kept</h1><input value='x'></form>") == "# kept"


def test_the_head_of_an_article_is_kept_and_that_of_the_site_is_not(tmp_path: Path) -> None:
    body = "<header>Site</header><article><header><p>by Ada</p></header><p>Text.</p></article>"
    assert text(tmp_path, body) == "by Ada\n\nText."
    assert text(tmp_path, "<header><h1>Title</h1></header><p>Text.</p>") == "# Title\n\nText."


@pytest.mark.parametrize(
    "body",
    [
        "<p>menu</p><main><p>kept</p></main>",
        "<p>menu</p><div role='main'><p>kept</p></div>",
        "<p>menu</p><article><p>kept</p></article>",
        "<main> </main><p>menu</p><main><p>kept</p></main>",
        "<main></main><p>kept</p>",
        "<main><nav>menu</nav></main><p>kept</p>",
    ],
)
def test_the_main_part_of_a_page_is_read_where_it_says_which_that_is(
    body: str, tmp_path: Path
) -> None:
    assert text(tmp_path, body) == "kept"


@pytest.mark.parametrize(
    "body",
    [
        "<h2><button>kept <svg><text>x</text></svg></button></h2>",
        "<h2><span>1.</span><button>kept</button></h2>",
        "<dl><dt><button>kept</button></dt></dl>",
        "<details><summary><button>kept</button></summary></details>",
        "<button aria-expanded='false'>kept</button>",
        "<button aria-controls='a'>kept</button>",
        "<button role='tab'>kept</button>",
        "<button class='accordion'>kept</button>",
        "<div class='tabcontent' style='display:none'>kept</div>",
        "<div class='tabs__item hidden' hidden>kept</div>",
        "<div class='tabbed-block' style='display: none'>kept</div>",
        "<div class='panel' style='display:none'>kept</div>",
        "<div class='code-tabs'><pre hidden>kept</pre></div>",
        "<dl class='faq'><dt>Q</dt><dd style='display:none'>kept</dd></dl>",
        "<ul class='uk-switcher'><li hidden>kept</li></ul>",
        "<table class='mw-collapsed'><tbody><tr style='display:none'><td>kept</table>",
        "<div x-show='open' style='display:none'>kept</div>",
        "<p>Short<span id='more' style='display:none'> kept</span></p>",
        "<div class='spoiler' hidden>kept</div>",
        "<div class='dropdown-content' style='display:none'>kept</div>",
        "<div hidden='Until-Found'>kept</div>",
        "<div id='a' hidden>kept</div><button aria-controls='b a'>Q</button>",
        "<button data-bs-target='#a'>x</button><div id='a' hidden>kept</div>",
        "<a href='#a'>Q</a><div id='a' style='display:none'>kept</div>",
        "<div role='main'><aside class='topic'>kept</aside></div>",
        "<section><p>Text.</p><aside>kept</aside></section>",
        "<div id='bodyContent'><aside>kept</aside></div>",
        "<article><p>Text.</p><footer>kept</footer></article>",
        "<blockquote><p>Text.</p><footer>kept</footer></blockquote>",
        "<h1>Title</h1><p>kept</p><div><article>card</article></div>",
        "<article><div class='related'>kept</div></article>",
    ],
)
def test_what_a_reader_can_open_and_what_belongs_to_a_text_is_read(
    body: str, tmp_path: Path
) -> None:
    assert "kept" in text(tmp_path, body)
    assert "x" not in text(tmp_path, body).replace("Text", "")


@pytest.mark.parametrize(
    "body",
    [
        "<h2>kept <button>Copy</button></h2>",
        "<button class='copy-btn'>x</button><h2>kept</h2>",
        "<button class='navbar-toggler' aria-expanded='false'>x</button><h2>kept</h2>",
        "<button aria-haspopup='true' aria-expanded='false'>x</button><h2>kept</h2>",
        "<h2>kept</h2><button aria-controls='site-menu'>x</button><ul id='site-menu' hidden>x</ul>",
        "<h2>kept</h2><a href='#nav'></a><div id='nav' hidden>x</div>",
        "<h2>kept</h2><div class='cookie-banner panel' hidden>x</div>",
        "<h2>kept</h2><div role='region' class='cookie-consent' hidden>x</div>",
        "<h2>kept</h2><div class='accordion-template' hidden>x</div>",
        "<h2>kept</h2><span class='sr-only more' style='display:none'>x</span>",
        "<h2>kept</h2><div class='panel print-only' style='display:none'>x</div>",
        "<h2 class='accordion'>kept<span aria-hidden='true'>x</span></h2>",
        "<DIV CLASS='NAVHEADER'>x</DIV><h2>kept</h2>",
        "<div class='header'><p>Next: <a>x</a>, Up: <a>x</a> [<a>x</a>]</p></div><h2>kept</h2>",
        "<div class='node'><p><a name='a'></a>Previous:&nbsp;<a>x</a></p></div><h2>kept</h2>",
        "<div class='related'><h3>x</h3></div><h2>kept</h2><div class='sphinxsidebar'>x</div>",
        "<main><h2>kept</h2></main><footer>x</footer>",
    ],
)
def test_what_only_looks_like_it_is_left_out(body: str, tmp_path: Path) -> None:
    assert text(tmp_path, body) == "## kept"


def test_labels_of_tabs_do_not_run_into_each_other(tmp_path: Path) -> None:
    body = "<div><button role='tab'>one</button><button role='tab'>two</button></div>"
    assert text(tmp_path, body).split() == ["one", "two"]


def test_several_articles_are_all_read(tmp_path: Path) -> None:
    body = "<article>one</article><article>two</article><p>three</p>"
    assert text(tmp_path, body) == "one\n\ntwo\n\nthree"


def test_blank_lines_do_not_pile_up(tmp_path: Path) -> None:
    body = "<div><div>\n\n<p>one</p>\n</div></div> <p> </p><br><br><br><h2></h2> <p>two</p>"
    assert text(tmp_path, body).replace("\n", "") == "onetwo"
    assert "\n\n\n" not in text(tmp_path, body)


# Pages as they are


def test_elements_may_end_without_saying_so(tmp_path: Path) -> None:
    body = """<p>one<p>two
      <ul><li>a<li>b<ul><li>c</ul><li>d</ul>
      <dl><dt>term<dd>meaning<dt>other<dd>another</dl>
      <table><thead><tr><th>x<th>y<tbody><tr><td>1<td>2<tr><td>3<td>4</table>
      <p>end"""
    assert [line for line in text(tmp_path, body).splitlines() if line] == [
        "one",
        "two",
        "- a",
        "- b",
        "  - c",
        "- d",
        "term",
        ":   meaning",
        "other",
        ":   another",
        "| x | y |",
        "| --- | --- |",
        "| 1 | 2 |",
        "| 3 | 4 |",
        "end",
    ]


def test_a_page_without_head_and_body_is_read(tmp_path: Path) -> None:
    record = only(written(tmp_path, "a.htm", "<title>T</title><h1>H</h1>Text &amp; more"))
    assert (record.title, record.text) == ("T", "# H\n\nText & more")
    record = only(written(tmp_path, "a.htm", "<head><title>T</title><body>Text"))
    assert (record.title, record.text) == ("T", "Text")


def test_xhtml_is_read(tmp_path: Path) -> None:
    html = """<?xml version="1.0" encoding="UTF-8"?>
      <html xmlns="http://www.w3.org/1999/xhtml"><head><title>T</title><script src="x"/></head>
      <body><p>one<br/>two</p></body></html>"""
    record = only(written(tmp_path, "a.xhtml", html))
    assert (record.title, record.text) == ("T", "one\ntwo")


@pytest.mark.parametrize("tag", ["div", "b", "ul><li", "table><tr><td", "blockquote", "nav><p"])
def test_a_page_however_deep_is_read_or_unreadable(tag: str, tmp_path: Path) -> None:
    file = written(tmp_path, "a.html", f"<p>before</p>{f'<{tag}>x' * 600}")
    assert only(file).text.startswith("before")
    if not tag.startswith("nav"):
        assert only(file).text.count("x") == 600
    assert reason(written(tmp_path, "a.html", f"<{tag}>x" * 3000)) == "nested too deeply"


def test_a_list_that_would_take_too_long_to_number_has_marks(tmp_path: Path) -> None:
    assert text(tmp_path, f"<ol>{'<li>word' * 3000}</ol>") == "\n".join(["- word"] * 3000)


@pytest.mark.parametrize(
    "piece",
    [
        "<p>a</p><button>x</button>",
        "<h2><button>x</button></h2>",
        "<p hidden id='a'>",
        "<p>a</p><img alt='x'>",
        "<h2></h2>",
    ],
)
def test_the_work_of_a_page_grows_with_its_length_whatever_is_left_out(
    piece: str, tmp_path: Path
) -> None:
    work = []
    for number in (100, 400):
        file = written(tmp_path, "a.html", "<p>begin</p>" + piece * number)
        work.append(lines_run(lambda file=file: read_html(file)))
    assert work[1] / work[0] < 6  # 16 were it the square


def lines_run(function: Callable[[], object]) -> int:
    """Count the lines of Python that a call runs, which are the same on any machine."""
    lines = 0

    def count(frame: object, event: str, argument: object) -> object:
        nonlocal lines
        lines += event == "line"
        return count

    before = sys.gettrace()
    sys.settrace(count)
    try:
        function()
    finally:
        sys.settrace(before)
    return lines


def test_what_is_left_out_and_replaced_may_be_in_what_is_left_out(tmp_path: Path) -> None:
    body = """
      <p>one<img alt=" two"><button>no</button><img alt=" three"></p><nav><img alt="no"><p>no</nav>
      <h2><audio><img alt="no"></audio></h2><h3><img alt="four"></h3><header><h1><svg></svg></h1>
      no</header><p>last</p><footer>no</footer>"""
    assert text(tmp_path, body) == "one two three\n\n### four\n\nlast"


# Title, name and encoding


@pytest.mark.parametrize(
    ("head", "body", "title"),
    [
        ("<title>\n The\n loop </title>", "<h1>Other</h1>", "The loop"),
        ("<title> </title>", "<h3>The <i>loop</i></h3><h1>Other</h1>", "The loop"),
        ("", "<h2><a href='#'>#</a></h2><h2>The loop</h2>", "The loop"),
        ("", "<svg><title>icon</title></svg><p>Text.</p>", "a.html"),
    ],
    ids=["title", "heading", "not empty", "name"],
)
def test_the_title_is_that_of_the_page(head: str, body: str, title: str, tmp_path: Path) -> None:
    assert page(tmp_path, body, head).title == title


def test_the_text_of_a_page_is_not_the_file(tmp_path: Path) -> None:
    record = page(tmp_path, "text")
    assert (record.source, record.whole_file, record.metadata) == ("", False, {})


@pytest.mark.parametrize(
    ("encoding", "declared"),
    [
        ("utf-8", ""),
        ("utf-8", "iso-8859-1"),
        ("utf-8-sig", ""),
        ("utf-16", ""),
        ("latin-1", "ISO-8859-1"),
        ("cp1252", "iso-8859-1"),
        ("cp1252", "windows-1252"),
        ("cp1251", "windows-1251"),
        ("shift_jis", "Shift_JIS"),
        ("latin-1", "no-such"),
        ("latin-1", "base64"),
        ("latin-1", "punycode"),
    ],
)
def test_the_encoding_is_that_of_the_bytes_or_the_one_declared(
    encoding: str, declared: str, tmp_path: Path
) -> None:
    said = {"cp1251": "событие", "shift_jis": "ループ", "cp1252": "“café”"}.get(encoding, "café")
    head = f'<meta charset="{declared}">' if declared else ""
    html = f"<html><head>{head}</head><body>{said}</body></html>"
    assert only(written(tmp_path, "a.html", html.encode(encoding))).text == said


@pytest.mark.parametrize(
    ("encoding", "declared", "text"),
    [
        ("gbk", "gb2312", "朱镕基讲话"),
        ("cp932", "Shift_JIS", "①会議の議事録㈱"),
        ("cp932", "x-sjis", "会議の議事録"),
        ("cp949", "euc-kr", "똠방각하"),
        ("big5hkscs", "big5", "嘅資料庫"),
        ("cp1254", "iso-8859-9", "İstanbul’da"),
        ("cp874", "tis-620", "“ภาษาไทย”"),
        ("iso2022_jp", "iso-2022-jp", "会議の議事録"),
        ("koi8-u", "koi8-u", "їжак"),
    ],
)
def test_a_declared_encoding_is_what_browsers_take_it_for(
    encoding: str, declared: str, text: str, tmp_path: Path
) -> None:
    html = f'<meta charset="{declared}"><p>{text}</p>'
    noted: list[str] = []
    (record,) = read(written(tmp_path, "a.html", html.encode(encoding)), note=noted.append)
    assert isinstance(record, Document)
    assert (record.text, noted) == (text, [])


@pytest.mark.parametrize(
    ("content", "text", "note"),
    [
        (b"Shift_JIS'><p>\x83\x8b\x81[\x83v \xff", "ループ \ufffd", "not CP932 in 1 place"),
        ("utf-8'><p>café né ".encode() + b"\xff", "café né \ufffd", "not UTF-8 in 1 place"),
        (b"no-such'><p>un caf\xe9 noir", "un café noir", "read as Windows-1252"),
    ],
)
def test_what_reading_a_page_took_is_noted(
    content: bytes, text: str, note: str, tmp_path: Path
) -> None:
    noted: list[str] = []
    file = written(tmp_path, "a.html", b"<meta charset='" + content)
    (record,) = read(file, note=noted.append)
    assert isinstance(record, Document)
    assert (record.text, noted) == (text, [note])


@pytest.mark.parametrize("declared", ["", '<meta charset="utf-8">'])
def test_the_bytes_of_a_page_speak_against_what_it_declares(declared: str, tmp_path: Path) -> None:
    content = declared.encode() + b"<p>caf\xe9</p>"
    assert only(written(tmp_path, "a.html", content)).text == "café"


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"<p>a\0b</p>", "binary"),
        (b"", "no text in it"),
        (b"<html><body><script>1</script></body></html>", "no text in it"),
        (b"<title>Title alone</title>", "no text in it"),
    ],
)
def test_a_page_without_readable_text_is_unreadable(
    content: bytes, why: str, tmp_path: Path
) -> None:
    assert reason(written(tmp_path, "a.html", content)) == why


# Anything


PLAIN = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="<>&"))


@given(words=PLAIN)
@in_one_folder
def test_whatever_the_text_of_a_paragraph_it_comes_out(words: str, tmp_path: Path) -> None:
    file = written(tmp_path, "a.html", f"<h1>H</h1><p>{words}</p><p>end</p>")
    assert only(file).text.split() == ["#", "H", *words.split(), "end"]


NAMES = """
    p div ul ol li table tr td th dl dt dd h1 a b pre code br main article header nav title html
    body head script style svg form img !-- ![CDATA[ !DOCTYPE ?xml
"""
TAGS = st.sampled_from(NAMES.split())
PIECES = st.lists(
    st.one_of(
        st.builds("<{}>".format, TAGS),
        st.builds("</{}>".format, TAGS),
        st.builds(
            "<{} {}".format, TAGS, st.sampled_from(["hidden>", 'style="', "role=main>", "/>"])
        ),
        st.sampled_from(
            ["text", " ", "\n", "&amp;", "&#0;", "&#xD800;", "&", "<", ">", "-->", "]]>"]
        ),
    ),
    max_size=30,
)


@given(pieces=PIECES)
@in_one_folder
def test_whatever_the_tags_a_page_is_read_or_unreadable(pieces: list[str], tmp_path: Path) -> None:
    html = "".join(pieces)
    file = written(tmp_path, "a.html", f"<p>first</p>{html}")
    try:
        record = only(file)
    except UnreadableError:
        return
    record.text.encode()
    record.title.encode()
    assert record.text
