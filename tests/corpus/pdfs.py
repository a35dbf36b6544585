"""PDF files for the tests."""

from __future__ import annotations

import zlib
from collections.abc import Sequence


def pdf(
    pages: Sequence[str],
    encrypted: bool = False,
    packed: bool = False,
    info: str = "",
    field: str = "",
) -> bytes:
    """A PDF with a line of text on each page, and on the first the field of a form."""
    kids = " ".join(f"{4 + 2 * number} 0 R" for number in range(len(pages)))
    objects = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    for number, text in enumerate(pages):
        content = f"BT /F1 12 Tf 72 720 Td ({text}) Tj ET"
        kind = ""
        if packed:
            content, kind = (
                zlib.compress(content.encode()).decode("latin-1"),
                "/Filter /FlateDecode",
            )
        page = f"/MediaBox [0 0 612 792] /Contents {5 + 2 * number} 0 R"
        objects += [
            f"<< /Type /Page /Parent 2 0 R {page} /Resources << /Font << /F1 3 0 R >> >> >>",
            f"<< /Length {len(content)} {kind} >>\nstream\n{content}\nendstream",
        ]
    if field:
        objects.append(field)
        form = f"{len(objects)} 0 R"
        objects[0] = f"<< /Type /Catalog /Pages 2 0 R /AcroForm << /Fields [{form}] >> >>"
        objects[3] = objects[3].replace("/Parent", f"/Annots [{form}] /Parent")
    objects += [info] if info else []
    lock = f"<< /Filter /Standard /V 1 /R 2 /O <{'00' * 32}> /U <{'00' * 32}> /P 0 >>"
    objects += [lock] if encrypted else []
    body, places = b"%PDF-1.4\n", []
    for number, item in enumerate(objects, start=1):
        places.append(len(body))
        body += f"{number} 0 obj\n{item}\nendobj\n".encode("latin-1")
    size = len(objects) + 1
    entries = "".join(f"{place:010} 00000 n \n" for place in places)
    locked = f"/Encrypt {len(objects)} 0 R /ID [<00> <00>]" if encrypted else ""
    locked += f"/Info {len(objects)} 0 R" if info else ""
    end = f"trailer << /Size {size} /Root 1 0 R {locked} >>\nstartxref\n{len(body)}\n%%EOF\n"
    return body + f"xref\n0 {size}\n0000000000 65535 f \n{entries}{end}".encode()


def repacked(content: bytes, entries: str = "") -> bytes:
    """A PDF whose page draws this."""
    file = pdf(["text"], packed=True)
    begin = file.find(b"stream\n") + len(b"stream\n")
    end = file.find(b"\nendstream", begin)
    file = file[:begin] + zlib.compress(content) + file[end:]
    return file.replace(b"/Filter /FlateDecode", b"/Filter /FlateDecode " + entries.encode())


def nested_forms(depth: int, times: int) -> bytes:
    """A PDF with a line of text in a form, drawn so many times by each of the forms around it."""
    resources = "/Resources << /Font << /F1 3 0 R >> /XObject << /X {} 0 R >> >>"
    page = "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 5 0 R "
    objects = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        "<< /Type /Pages /Kids [4 0 R] /Count 1 >>",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
        page + resources.format(6) + " >>",
        _stream("/X Do", ""),
    ]
    form = "/Type /XObject /Subtype /Form /BBox [0 0 612 792] "
    for number in range(depth):
        inner = form + resources.format(7 + number)
        objects.append(_stream("/X Do " * times, inner))
    objects.append(
        _stream("BT /F1 12 Tf 72 720 Td (Text) Tj ET", form + resources.format(6 + depth))
    )
    body = b"%PDF-1.4\n"
    places = []
    for number, item in enumerate(objects, start=1):
        places.append(len(body))
        body += f"{number} 0 obj\n{item}\nendobj\n".encode()
    entries = "".join(f"{place:010} 00000 n \n" for place in places)
    size = len(objects) + 1
    end = f"trailer << /Size {size} /Root 1 0 R >>\nstartxref\n{len(body)}\n%%EOF\n"
    return body + f"xref\n0 {size}\n0000000000 65535 f \n{entries}{end}".encode()


def _stream(content: str, entries: str) -> str:
    return f"<< /Length {len(content)} {entries} >>\nstream\n{content}\nendstream"
