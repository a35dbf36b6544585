"""HTML: the text that a reader of the page sees, as Markdown."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from bs4 import BeautifulSoup, Tag
from bs4.dammit import EncodingDetector
from bs4.element import NavigableString, PageElement
from bs4.exceptions import ParserRejectedMarkup
from markdownify import ATX, MarkdownConverter

from ragdoll.corpus.formats import decoding
from ragdoll.corpus.formats.decoding import UnreadableError, shown
from ragdoll.corpus.formats.markdown import tidy
from ragdoll.corpus.formats.quiet import ignore_warnings
from ragdoll.corpus.formats.records import Record

# What is no part of the text: code for the browser, what surrounds the text, what one acts on.
_NO_TEXT = """
    script style template noscript svg nav footer aside
    button datalist dialog input select textarea
    audio canvas embed iframe map object video
"""
_LEFT_OUT = frozenset(_NO_TEXT.split())
_LEFT_OUT_ROLES = frozenset({"banner", "complementary", "contentinfo", "navigation", "search"})
_INVISIBLE = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.IGNORECASE)
# The text of a link that stands beside a heading and leads to that heading.
_PERMALINKS = frozenset({"#", "§", "¶", "🔗"})
_HEADINGS = ("h1", "h2", "h3", "h4", "h5", "h6")
# A table that holds one of these lays out the page.
_NOT_IN_DATA = ("table", "pre", *_HEADINGS)

# Elements whose end may be left unsaid, as old pages do: what begins one ends the first of the
# second that is open, unless one of the third is open inside it.
_LISTS = frozenset({"dl", "menu", "ol", "table", "ul"})
_TABLES = frozenset({"table"})
_ROWS = frozenset({"table", "tr"})
_IMPLIED_ENDS = {
    "body": (("head",), frozenset[str]()),
    "li": (("li",), _LISTS),
    "dt": (("dt", "dd"), _LISTS),
    "dd": (("dt", "dd"), _LISTS),
    "td": (("td", "th"), _ROWS),
    "th": (("td", "th"), _ROWS),
    "tr": (("tr",), _TABLES),
    "thead": (("thead", "tbody", "tfoot"), _TABLES),
    "tbody": (("thead", "tbody", "tfoot"), _TABLES),
    "tfoot": (("thead", "tbody", "tfoot"), _TABLES),
}
_BLOCKS = """
    address article aside blockquote center dd details div dl dt fieldset figcaption figure
    footer form h1 h2 h3 h4 h5 h6 header hr li main menu nav ol p pre section table ul
"""
_ENDS_PARAGRAPH = frozenset(_BLOCKS.split())
_HOLDS_PARAGRAPHS = frozenset({"button", "caption", "object", "table", "td", "th"})

# The modules that a warning of the parser is said to come from.
_PARSER = r"(bs4|ragdoll\.corpus\.formats\.html)(\.|$)"

# Parsed, a page takes some thirty times its size.
_MAX_BYTES = 16 * 2**20

# No page is nested more deeply on purpose; the conversion calls itself at each level.
_MAX_DEPTH = 100
# The time to number the items of a list grows with the square of their number.
_MAX_NUMBERED = 2000

# Markdown that is to be read and searched, not rendered again.
_CONVERTER = MarkdownConverter(
    heading_style=ATX,
    bullets="-",
    escape_asterisks=False,
    escape_underscores=False,
    strip=["a", "b", "em", "i", "strong"],
    table_infer_header=True,
)
# Blocks that it does not know as such, and would let run into each other.
_UNKNOWN_BLOCKS = (
    *("address", "center", "details", "fieldset", "figure", "form", "header", "hgroup", "legend"),
    "summary",
)


def read_html(path: Path) -> Record:
    """Read a page: its main text with headings, lists, tables and code, without links and images.

    Raises:
        UnreadableError: it has no text, or cannot be taken apart.
    """
    try:
        page = _page(_decoded(decoding.contents(path, _MAX_BYTES)))
        title_tag = page.title
        title = title_tag.extract().get_text() if title_tag else ""
        main = _main(page)
        heading = main.find(_HEADINGS)
        text = tidy(_CONVERTER.convert_soup(main))
    except (ParserRejectedMarkup, RecursionError) as error:
        raise UnreadableError("no HTML that can be taken apart") from error
    if not text:
        raise UnreadableError("no text in it")
    titles = (" ".join(words.split()) for words in (title, heading.get_text() if heading else ""))
    title = next(filter(None, titles), shown(path.name))
    return Record(name=None, title=title, text=text, converted=True)


def _decoded(content: bytes) -> str:
    try:
        return decoding.decode(content)
    except UnreadableError:
        declared = EncodingDetector.find_declared_encoding(content, is_html=True)
        if not declared or declared.startswith("utf-"):
            raise
        # Browsers read these two as their superset, and pages count on it.
        latin = declared in {"ascii", "iso-8859-1", "latin-1", "latin1", "us-ascii"}
        return decoding.decode(content, "windows-1252" if latin else declared)


class _Page(BeautifulSoup):
    """A page whose elements end where HTML lets their end go without saying."""

    def handle_starttag(self, name: str, *args: Any, **kwargs: Any) -> Tag | None:
        if name in _IMPLIED_ENDS:
            self._end(*_IMPLIED_ENDS[name])
        if name in _ENDS_PARAGRAPH:
            self._end(("p",), _HOLDS_PARAGRAPHS)
        if len(self.tagStack) > _MAX_DEPTH and name not in {"script", "style"}:
            return None  # what it holds is kept
        tag = super().handle_starttag(name, *args, **kwargs)
        if tag is not None and tag.is_empty_element:
            # Ended here, for the parser would search all such elements at each end of another.
            self.handle_endtag(name)
            return None
        return tag

    def _end(self, names: tuple[str, ...], around: frozenset[str]) -> None:
        """End the innermost open element of these names, if none of ``around`` is inside it."""
        if not any(self.open_tag_counter.get(name) for name in names):
            return
        for tag in reversed(self.tagStack):
            if tag.name in names:
                self.handle_endtag(tag.name)
            if tag.name in names or tag.name in around:
                return


def _page(html: str) -> BeautifulSoup:
    # It warns of XML, and of text that looks like a file's name.
    ignore_warnings(_PARSER)
    page = _Page(html, "html.parser")
    changes = _Changes()
    # From the end, so that what an element holds is decided before the element is.
    for tag in reversed(page.find_all(True)):
        changes.apply(tag)
        if _is_left_out(tag) or (tag.name in _HEADINGS and not tag.get_text(strip=True)):
            changes.leave_out(tag)
        elif tag.name == "img":
            changes.replace(tag, NavigableString(str(tag.get("alt") or "")))
        elif tag.name in _UNKNOWN_BLOCKS:
            tag.name = "div"
        elif tag.name == "ol" and len(tag.contents) > _MAX_NUMBERED:
            tag.name = "ul"
    changes.apply(page)
    layouts = {id(table): table for table in page.find_all("table") if table.find(_NOT_IN_DATA)}
    for part in page.find_all(("td", "th", "tr")) if layouts else ():
        if id(part.find_parent("table")) in layouts:
            part.name = "div"
    for table in layouts.values():
        table.name = "div"
    return page


class _Changes:
    """Elements that are left out or replaced, in time that does not grow with their siblings.

    Each is taken out of the chain of elements at once, and out of what its parent holds when
    ``apply`` is called with that, before which nothing may search the parent.
    """

    def __init__(self) -> None:
        # By the ids of the parents, then of the elements; those are kept alive by the caller.
        self._instead: dict[int, dict[int, list[NavigableString]]] = {}

    def apply(self, parent: Tag) -> None:
        """Make the changes to what an element holds."""
        instead = self._instead.pop(id(parent), None)
        if instead:
            parent.contents = [
                new for old in parent.contents for new in instead.get(id(old), (old,))
            ]

    def leave_out(self, tag: Tag) -> None:
        """Take an element out of the page, with all it holds."""
        last = _last_in(tag)
        _chain(tag.previous_element, last.next_element)
        _beside(tag.previous_sibling, tag.next_sibling)
        self._note(tag, [])
        tag.previous_element = last.next_element = tag.previous_sibling = tag.next_sibling = None

    def replace(self, tag: Tag, text: NavigableString) -> None:
        """Put a text in the place of an element and of all it holds."""
        last = _last_in(tag)
        text.parent = tag.parent
        _chain(text, last.next_element)
        _chain(tag.previous_element, text)
        _beside(text, tag.next_sibling)
        _beside(tag.previous_sibling, text)
        self._note(tag, [text])
        last.next_element = tag.next_sibling = tag.previous_sibling = None

    def _note(self, tag: Tag, new: list[NavigableString]) -> None:
        self._instead.setdefault(id(tag.parent), {})[id(tag)] = new
        tag.parent = None


def _last_in(tag: Tag) -> PageElement:
    """The last that an element holds at any depth, or the element itself."""
    last: PageElement = tag
    while isinstance(last, Tag) and last.contents:
        last = last.contents[-1]
    return last


def _chain(first: PageElement | None, second: PageElement | None) -> None:
    if first is not None:
        first.next_element = second
    if second is not None:
        second.previous_element = first


def _beside(first: PageElement | None, second: PageElement | None) -> None:
    if first is not None:
        first.next_sibling = second
    if second is not None:
        second.previous_sibling = first


def _is_left_out(tag: Tag) -> bool:
    if tag.name in {"html", "body", "main"}:
        return False  # some pages show these by a script
    if tag.name in _LEFT_OUT or tag.get("role") in _LEFT_OUT_ROLES:
        return True
    if tag.name == "header":
        # The head of the site, not of an article; some pages have their own heading there.
        return not tag.find_parent(("article", "main", "section")) and not tag.find("h1")
    if tag.name == "a" and tag.get_text(strip=True) in _PERMALINKS:
        return True
    return bool(tag.attrs) and (
        tag.has_attr("hidden")
        or tag.get("aria-hidden") == "true"
        or tag.has_attr("data-nosnippet")
        or bool(_INVISIBLE.search(str(tag.get("style", ""))))
    )


def _main(page: BeautifulSoup) -> Tag:
    """The element with the main text, where a page says which that is, else all of it."""
    found = page.find_all(lambda tag: tag.name in {"main", "article"} or tag.get("role") == "main")
    articles = [tag for tag in found if tag.name == "article"]
    marked = [tag for tag in found if tag.name != "article"]
    candidates = [*marked, *(articles if len(articles) == 1 else [])]
    return next((tag for tag in candidates if tag.get_text(strip=True)), page.body or page)
