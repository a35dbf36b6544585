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

# Elements that are no part of the text: code for the browser, what surrounds the text, the sound of
# a word, and what a reader acts on.
_NO_TEXT = """
    rp rt
    script style template noscript svg nav
    datalist dialog input select textarea
    audio canvas embed iframe map object video
"""
_NOT_SHOWN = frozenset(_NO_TEXT.split())
_HIDDEN_ROLES = frozenset({"banner", "contentinfo", "navigation", "search"})
_HIDDEN_STYLE = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.IGNORECASE)
# Names of what a reader can open, and of what looks like it and is no part of the text.
_OPENABLE = re.compile(
    r"\b_?tab(?!l|u)|tabs?\b|accordion|collaps|\bexpand|\bfold|toggle|pane|spoiler|details|answer"
    r"|faq|\bmore|more\b|disclosure|dropdown|switcher",
    re.IGNORECASE,
)
_APART = re.compile(
    r"cookie\W?(?:banner|bar|consent|notice|popup)|consent|menu(?!\d)|modal\b|dialog\b|popup\b"
    r"|nav(?:bar|igation)|nav\b(?!-)|dropdown-toggle|\bsearch-|\bprint-|-print\b|\btemplate\b"
    r"|sr-only|screen-?reader|visually-?hidden",
    re.IGNORECASE,
)
_LABEL = re.compile(r"\b(?:accordion|collapsible|faq|tab(?!le))", re.IGNORECASE)
# The attributes that name a thing, and those by which a control names what it opens.
_NAMES = ("class", "id", "role", "x-show", "aria-controls")
_TARGETS = ("data-target", "data-bs-target", "href")
# Classes of the bars and lists around a page of documentation.
_NAVIGATION = frozenset(
    ("bottomnav", "nav-panel", "navfooter", "navheader", "navpath", "sphinxsidebar", "subnav")
) | {"mw-editsection", "topnav"}
# How a line of links begins that leads from page to page.
_STEPS = frozenset(("Next:", "Previous:", "Prev:", "Up:"))
# The text of a link that stands beside a heading and leads to that heading.
_PERMALINKS = frozenset({"#", "§", "¶", "🔗"})
# What a link says, in its text or its title, that leads to the source of the page.
_TO_SOURCE = re.compile(
    r"(?:edit|improve) (?:this|the) page|(?:edit|view|show)(?: (?:this )?page)? (?:on|in) git\w+"
    r"|(?:view|show)(?: this)? page source|suggest edits?(?: to this page)?",
    re.IGNORECASE,
)
_HEADINGS = ("h1", "h2", "h3", "h4", "h5", "h6")
_TITLES = (*_HEADINGS, "dt", "summary")
# A table that holds one of these lays out the page.
_NOT_IN_DATA = ("table", "pre", *_HEADINGS)
# Blocks that the converter does not know as such, and would let run into each other.
_UNKNOWN_BLOCKS = frozenset(
    ("address", "center", "details", "fieldset", "figure", "form", "header", "hgroup", "legend")
) | {"button", "footer", "summary"}

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
    opened = _opened(root)
    # From the end, so that the elements within an element come before it.
    for element in reversed(list(root.iter(etree.Element))):
        if element.tag in _TITLES and not _has_words(element, hidden):
            hidden.difference_update(element.iter("button"))  # it opens what the heading is of
        if _is_hidden(element, hidden, opened):
            hidden.add(element)
    return hidden


def _opened(root: etree._Element) -> set[str]:
    """Return the ids of what a control of the page opens, or a link leads to."""
    opened: set[str] = set()
    for element in root.iter(etree.Element):
        opened.update(element.get("aria-controls", "").split())
        targets = (element.get(name, "") for name in _TARGETS)
        opened.update(target[1:] for target in targets if target.startswith("#"))
    return opened


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


def _is_hidden(element: etree._Element, hidden: set[etree._Element], opened: set[str]) -> bool:
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
    classes = element.get("class", "").lower().split()
    if _is_beside(element, classes) or (name == "button" and not _is_label(element)):
        return True
    first = "".join(islice(_texts(element, hidden), 2)) if name == "a" else ""
    is_step = name == "p" and next(_texts(element, hidden), "") in _STEPS
    is_for_writers = name == "a" and (first in _PERMALINKS or _leads_to_source(element, first))
    if is_for_writers or is_step or (name in _HEADINGS and not any(_texts(element, hidden))):
        return True
    is_closed = (
        element.get("hidden") is not None
        or element.get("aria-hidden") == "true"
        or bool(_HIDDEN_STYLE.search(element.get("style", "")))
    )
    return (
        (is_closed and not _can_be_opened(element, opened))
        or element.get("data-nosnippet") is not None
        or not _NAVIGATION.isdisjoint(classes)
    )


def _leads_to_source(link: etree._Element, text: str) -> bool:
    said = (text.strip(), link.get("title", "").strip())
    return link.get("rel") == "edit" or any(map(_TO_SOURCE.fullmatch, said))


def _is_beside(element: etree._Element, classes: list[str]) -> bool:
    """Tell whether an element stands below a text, or beside it: there it is about other things."""
    if element.tag == "footer":
        # Of an article it has notes, of a quotation its author.
        return not any(True for _ in element.iterancestors("article", "blockquote"))
    is_aside = element.tag == "aside" or element.get("role") == "complementary"
    # Within a text it is a note or a box.
    return (is_aside or "related" in classes) and not any(map(_is_content, element.iterancestors()))


def _is_content(element: etree._Element) -> bool:
    """Tell whether an element has the text of a page, or a part of it."""
    return (
        element.tag in {"article", "main", "section"}
        or element.get("role") == "main"
        or "content" in element.get("id", "").lower()
    )


def _is_label(button: etree._Element) -> bool:
    """Tell whether a button is the label of a text that it opens."""
    is_control = button.get("aria-haspopup") is None and (
        button.get("aria-expanded") is not None or button.get("aria-controls") is not None
    )
    is_label = is_control or button.get("role") == "tab" or _LABEL.search(button.get("class", ""))
    return bool(is_label) and not _APART.search(_names(button))


def _can_be_opened(element: etree._Element, opened: set[str]) -> bool:
    """Tell whether a reader can open an element that is not shown at first: a tab, a fold."""
    names = _names(element)
    # An item or a row is opened by what it is in; what is shown all the same is an ornament.
    up = 0 if element.get("aria-hidden") == "true" else 2 if element.tag == "tr" else 1
    around = islice(element.iterancestors(), up)
    return not _APART.search(names) and (
        element.get("role") in {"tabpanel", "region"}
        or element.get("hidden", "").lower() == "until-found"
        or element.get("x-show") is not None
        or element.get("id") in opened
        or any(map(_OPENABLE.search, (names, *map(_names, around))))
    )


def _names(element: etree._Element) -> str:
    return " ".join(element.get(name, "") for name in _NAMES)


def _has_words(element: etree._Element, hidden: set[etree._Element]) -> bool:
    return any(any(map(str.isalpha, text)) for text in _texts(element, hidden))


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
    candidates = [*marked, *(_with_heading(page, *articles) if len(articles) == 1 else [])]
    return next((tag for tag in candidates if tag.get_text(strip=True)), page.body or page)


def _with_heading(page: BeautifulSoup, article: Tag) -> Iterator[Tag]:
    """Yield the only article of a page, or what holds it and the heading of the page."""
    heading = article.h1 or page.h1 or article
    around = {id(tag) for tag in (heading, *heading.parents)}
    yield next(tag for tag in (article, *article.parents) if id(tag) in around)
