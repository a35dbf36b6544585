"""Office files for the tests, part by part."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path

OFFICE = "http://schemas.openxmlformats.org"
MAIN = f"{OFFICE}/spreadsheetml/2006/main"
RELATIONS = f"{OFFICE}/officeDocument/2006/relationships"
PACKAGE = f'<Relationships xmlns="{OFFICE}/package/2006/relationships">'


def changed(file: Path, part: str, change: Callable[[bytes], bytes]) -> Path:
    """The same file with another content of a part."""
    with zipfile.ZipFile(file) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, change(content) if name == part else content)
    return file


def encoded(content: bytes, encoding: str) -> bytes:
    text = content.decode().rpartition("?>")[2]
    return f'<?xml version="1.0" encoding="{encoding}"?>{text}'.encode(encoding)


def docx(file: Path, body: str) -> Path:
    """A Word file with what Word calls the body."""
    office = "http://schemas.openxmlformats.org"
    kind = "application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"
    parts = {
        "[Content_Types].xml": f'<Types xmlns="{office}/package/2006/content-types">'
        '<Default Extension="rels" '
        'ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        f'<Override PartName="/word/document.xml" ContentType="{kind}"/></Types>',
        "_rels/.rels": f'<Relationships xmlns="{office}/package/2006/relationships">'
        f'<Relationship Id="r1" Type="{office}/officeDocument/2006/relationships/officeDocument" '
        'Target="word/document.xml"/></Relationships>',
        "word/document.xml": f'<w:document xmlns:w="{office}/wordprocessingml/2006/main">'
        f"<w:body>{body}</w:body></w:document>",
    }
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, '<?xml version="1.0" encoding="UTF-8"?>' + content)
    return file


def paragraph(text: str, style: str = "") -> str:
    kind = f'<w:pPr><w:pStyle w:val="{style}"/></w:pPr>' if style else ""
    return f"<w:p>{kind}<w:r><w:t>{text}</w:t></w:r></w:p>"


def row(*cells: str) -> str:
    return "<w:tr>" + "".join(f"<w:tc>{paragraph(cell)}</w:tc>" for cell in cells) + "</w:tr>"


def cell(string: int | str) -> str:
    """A row of one cell, which has a string by its number."""
    return f'<row><c t="s"><v>{string}</v></c></row>'


def workbook(
    file: Path, strings: Iterable[str], rows: str, sheets: Iterable[str] = ("r1",), at: str = "two"
) -> Path:
    """A workbook whose sheets name strings that are written once; its relations are r1 and r2."""
    kind = "application/vnd.openxmlformats-officedocument.spreadsheetml"
    kinds = {
        "workbook": f"{kind}.sheet.main+xml",
        "strings": f"{kind}.sharedStrings+xml",
        "one": f"{kind}.worksheet+xml",
        "two": f"{kind}.worksheet+xml",
    }
    listed = "".join(
        f'<sheet name="S{number}" sheetId="{number}" r:id="{sheet}"/>'
        for number, sheet in enumerate(sheets, start=1)
    )
    sheet = f'<worksheet xmlns="{MAIN}"><sheetData>{rows}</sheetData></worksheet>'
    parts = {
        "[Content_Types].xml": f'<Types xmlns="{OFFICE}/package/2006/content-types">'
        '<Default Extension="rels" '
        'ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        + "".join(
            f'<Override PartName="/{name}.xml" ContentType="{kind}"/>'
            for name, kind in kinds.items()
        )
        + "</Types>",
        "_rels/.rels": f'{PACKAGE}<Relationship Id="r1" Type="{RELATIONS}/officeDocument" '
        'Target="workbook.xml"/></Relationships>',
        "_rels/workbook.xml.rels": f"{PACKAGE}"
        f'<Relationship Id="r1" Type="{RELATIONS}/worksheet" Target="one.xml"/>'
        f'<Relationship Id="r2" Type="{RELATIONS}/worksheet" Target="{at}.xml"/>'
        f'<Relationship Id="r3" Type="{RELATIONS}/sharedStrings" Target="strings.xml"/>'
        "</Relationships>",
        "workbook.xml": f'<workbook xmlns="{MAIN}" xmlns:r="{RELATIONS}"><sheets>{listed}</sheets>'
        "</workbook>",
        "strings.xml": f'<sst xmlns="{MAIN}">'
        + "".join(f"<si><t>{string}</t></si>" for string in strings)
        + "</sst>",
        "one.xml": sheet,
        "two.xml": sheet.replace(rows, ""),
    }
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return file


def archive(file: Path, parts: dict[str, str]) -> Path:
    """An archive of these parts."""
    with zipfile.ZipFile(file, "w") as made:
        for name, content in parts.items():
            made.writestr(name, content)
    return file


BOOK = {
    "META-INF/container.xml": '<container><rootfiles><rootfile full-path="x/a.opf"/></rootfiles>'
    "</container>",
    "x/a.opf": '<package xmlns:dc="d"><metadata><dc:title>Narwhals</dc:title></metadata><manifest>'
    '<item id="two" href="2.xhtml"/><item id="one" href="a%20b.xhtml"/></manifest>'
    '<spine><itemref idref="one"/><itemref idref="two"/><itemref idref="gone"/></spine></package>',
    "x/2.xhtml": "<html><body><h1>Two</h1></body></html>",
    "x/a b.xhtml": "<html><body><p>One.</p></body></html>",
}

OPEN_DOCUMENT = """<d xmlns:o="o" xmlns:t="t" xmlns:b="b"><o:body><o:text>
<t:h t:outline-level="2">Head</t:h>
<t:p>One <t:span>two</t:span>.</t:p><o:annotation><t:p>Aside.</t:p>
</o:annotation><b:table><b:table-row><b:table-cell><t:p>a</t:p></b:table-cell><b:table-cell>
<t:p>b</t:p></b:table-cell></b:table-row></b:table></o:text></o:body></d>"""
