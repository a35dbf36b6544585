"""HTML pages as documents: the text that a reader sees, as Markdown.

The process behind the wall runs this.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import cast

from bs4 import BeautifulSoup, Tag
from bs4.builder import HTMLTreeBuilder
from lxml import etree
from markdownify import ATX, MarkdownConverter

from ragdoll.corpus.documents import Document
from ragdoll.corpus.formats.decoding import UnreadableError, decode, display_name
from ragdoll.corpus.formats.markdown import tidy

# Elements that are no part of the text: code for the browser, what surrounds the text, and what a
# reader acts on.
_NO_TEXT = """
    script style template noscript svg nav footer
    button datalist dialog input select textarea
    audio canvas embed iframe map object video
"""
_NOT_SHOWN = frozenset(_NO_TEXT.split())
_HIDDEN_ROLES = frozenset({"banner", "contentinfo", "navigation", "search"})
_HIDDEN_STYLE = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.IGNORECASE)
# Classes of what can be opened, and of the bars above and below a page of DocBook.
_OPENABLE = re.compile(r"\b(?:accordion|collaps|expand|fold|tabs?\b|toggle)", re.IGNORECASE)
_NAVIGATION = frozenset(("navheader", "navfooter"))
# The text of a link that stands beside a heading and leads to that heading.
_PERMALINKS = frozenset({"#", "§", "¶", "🔗"})
_HEADINGS = ("h1", "h2", "h3", "h4", "h5", "h6")
# A table that holds one of these lays out the page.
_NOT_IN_DATA = ("table", "pre", *_HEADINGS)
# Blocks that the converter does not know as such, and would let run into each other.
_UNKNOWN_BLOCKS = frozenset(
    ("address", "center", "details", "fieldset", "figure", "form", "header", "hgroup", "legend")
) | {"summary"}

# No page is nested more deeply on purpose, and the converter calls itself at each level. What is in
# deeper elements is kept without them.
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


def read_html(path: Path) -> Document:
    """Read a page in UTF-8: its main text with headings, lists, tables and code, without links.

    Raises:
        UnreadableError: the page has no text, or is nested too deeply.
    """
    text, title = page_of(decode(path.read_bytes()))
    if not text:
        raise UnreadableError("no text in it")
    return Document(text, title=title or display_name(path.name), markup="markdown")


def page_of(html: str) -> tuple[str, str]:
    """Return the main text of a page in Markdown, and its title, or else its first heading.

    Raises:
        UnreadableError: the page is nested too deeply.
    """
    page = BeautifulSoup(html, builder=_VisibleTree())
    _mark_for_converter(page)
    title_tag = page.title
    title = title_tag.extract().get_text() if title_tag else ""
    main = _main(page)
    heading = main.find(_HEADINGS)
    text = tidy(_CONVERTER.convert_soup(main))
    titles = (" ".join(words.split()) for words in (title, heading.get_text() if heading else ""))
    return text, next(filter(None, titles), "")


class _VisibleTree(HTMLTreeBuilder):
    """Builds the tree of a page by what libxml2 parses, without the elements that are no text."""

    def feed(self, markup: str | bytes) -> None:
        """Parse a page and build its tree.

        Raises:
            UnreadableError: the page is nested too deeply.
        """
        soup = cast(BeautifulSoup, self.soup)
        root = _parsed(markup if isinstance(markup, bytes) else markup.encode())
        depth = 0
        for event, element in _visible(root, _hidden(root)) if root is not None else ():
            depth += event == "start"
            name = "div" if element.tag in _UNKNOWN_BLOCKS else element.tag
            is_tag = name != "img" and depth <= _MAX_DEPTH
            if is_tag and event == "start":
                soup.handle_starttag(name, None, None, dict(element.items()))
            elif is_tag and event == "end":
                soup.handle_endtag(name)
            else:
                soup.endData()
            depth -= event == "end"
            if text := _text(event, element):
                soup.handle_data(text)


def _parsed(content: bytes) -> etree._Element | None:
    """Parse a page in UTF-8; None where it has no element.

    Raises:
        UnreadableError: the page is nested too deeply.
    """
    parser = etree.HTMLParser(encoding="utf-8", huge_tree=True)
    root = etree.fromstring(content, parser)
    if parser.error_log.filter_from_fatals():
        raise UnreadableError("nested too deeply")
    return root


def _hidden(root: etree._Element) -> set[etree._Element]:
    """Find the elements that, with all that they hold, are no part of the text."""
    hidden: set[etree._Element] = set()
    # From the end, so that the elements within an element come before it.
    for element in reversed(list(root.iter(etree.Element))):
        if _is_hidden(element, hidden):
            hidden.add(element)
    return hidden


def _visible(
    root: etree._Element, hidden: set[etree._Element]
) -> Iterator[tuple[str, etree._Element]]:
    """Walk over an element and its descendants that are not hidden.

    Yield ``start`` and ``end`` with each. Yield another event with what is hidden and with
    comments, of which only the text behind them is seen.
    """
    walk = etree.iterwalk(root, events=("start", "end", "comment", "pi"))
    for event, element in walk:
        if element not in hidden:
            yield event, element
        elif event == "start":
            walk.skip_subtree()
        else:
            yield "hidden", element


def _is_hidden(element: etree._Element, hidden: set[etree._Element]) -> bool:
    name = element.tag
    if name in {"html", "body", "main"}:
        return False  # some pages show these by a script
    if name in _NOT_SHOWN or element.get("role") in _HIDDEN_ROLES:
        return True
    if name == "header":
        # The head of the site, not of an article; some pages have their own heading there.
        is_inner = any(True for _ in element.iterancestors("article", "main", "section"))
        starts = (inner.tag for event, inner in _visible(element, hidden) if event == "start")
        return not is_inner and "h1" not in starts
    if name == "aside" or element.get("role") == "complementary":
        # Beside an article it is about other things; within one it is a note or a box.
        return not any(True for _ in element.iterancestors("article", "main"))
    is_permalink = name == "a" and "".join(islice(_texts(element, hidden), 2)) in _PERMALINKS
    if is_permalink or (name in _HEADINGS and not any(_texts(element, hidden))):
        return True
    is_closed = (
        element.get("hidden") is not None
        or element.get("aria-hidden") == "true"
        or bool(_HIDDEN_STYLE.search(element.get("style", "")))
    )
    return (
        (is_closed and not _can_be_opened(element))
        or element.get("data-nosnippet") is not None
        or not _NAVIGATION.isdisjoint(element.get("class", "").split())
    )


def _can_be_opened(element: etree._Element) -> bool:
    """Tell whether a reader can open an element that is not shown at first: a tab, a fold."""
    return (
        element.get("role") in {"tabpanel", "region"}
        or element.get("hidden") == "until-found"
        or bool(_OPENABLE.search(element.get("class", "")))
    )


def _texts(element: etree._Element, hidden: set[etree._Element]) -> Iterator[str]:
    """Yield the visible pieces of an element's text, without whitespace around them."""
    for event, inner in _visible(element, hidden):
        text = _text(event, inner).strip() if event == "start" or inner is not element else ""
        if text:
            yield text


def _text(event: str, element: etree._Element) -> str:
    """Return the text between an event and the next; that of an image is its description."""
    if event != "start":
        return element.tail or ""
    return (element.get("alt") if element.tag == "img" else element.text) or ""


def _mark_for_converter(page: BeautifulSoup) -> None:
    """Rename elements that the converter is to take for others."""
    for numbered in page.find_all("ol"):
        if len(numbered.contents) > _MAX_NUMBERED:
            numbered.name = "ul"
    layouts = {id(table): table for table in page.find_all("table") if table.find(_NOT_IN_DATA)}
    for part in page.find_all(("td", "th", "tr")) if layouts else ():
        if id(part.find_parent("table")) in layouts:
            part.name = "div"
    for table in layouts.values():
        table.name = "div"


def _main(page: BeautifulSoup) -> Tag:
    """Return the element with the main text, where a page says which that is, else all of it."""
    articles = page.find_all("article")
    marked = page.find_all(
        lambda tag: tag.name == "main" or (tag.get("role") == "main" and tag.name != "article")
    )
    candidates = [*marked, *(articles if len(articles) == 1 else [])]
    return next((tag for tag in candidates if tag.get_text(strip=True)), page.body or page)
