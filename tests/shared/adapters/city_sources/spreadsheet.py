"""Writes a small XLSX, as ECMA-376 has it at the least: texts inline, numbers, and times as days since 1900."""

from __future__ import annotations

import io
import zipfile
from datetime import datetime
from xml.sax.saxutils import escape

MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
PACKAGE = "http://schemas.openxmlformats.org/package/2006"
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
TYPES = "application/vnd.openxmlformats-officedocument.spreadsheetml"
STYLES = (
    f'<styleSheet xmlns="{MAIN}"><fonts><font/></fonts><fills><fill/></fills><borders><border/></borders>'
    '<cellStyleXfs><xf/></cellStyleXfs><cellXfs><xf numFmtId="0"/><xf numFmtId="22" applyNumberFormat="1"/>'
    "</cellXfs></styleSheet>"
)

Cell = str | float | datetime | None


def spreadsheet(**sheets: list[list[Cell]]) -> bytes:
    """Return a workbook with these sheets, whose names have `_` where the real ones have a blank."""
    names = list(sheets)
    parts = {
        "[Content_Types].xml": f'<Types xmlns="{PACKAGE}/content-types">'
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        f'<Default Extension="xml" ContentType="{TYPES}.worksheet+xml"/>'
        f'<Override PartName="/xl/workbook.xml" ContentType="{TYPES}.sheet.main+xml"/>'
        f'<Override PartName="/xl/styles.xml" ContentType="{TYPES}.styles+xml"/></Types>',
        "_rels/.rels": _relations([("officeDocument", "xl/workbook.xml")]),
        "xl/_rels/workbook.xml.rels": _relations(
            [*(("worksheet", f"sheet{n}.xml") for n in range(len(names))), ("styles", "styles.xml")]
        ),
        "xl/workbook.xml": f'<workbook xmlns="{MAIN}" xmlns:r="{OFFICE}"><sheets>'
        + "".join(
            f'<sheet name="{escape(name.replace("_", " "))}" sheetId="{n + 1}" r:id="r{n}"/>'
            for n, name in enumerate(names)
        )
        + "</sheets></workbook>",
        "xl/styles.xml": STYLES,
    }
    for number, rows in enumerate(sheets.values()):
        parts[f"xl/sheet{number}.xml"] = _sheet(rows)
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as packed:
        for path, text in parts.items():
            packed.writestr(path, f'<?xml version="1.0" encoding="UTF-8"?>{text}')
    return content.getvalue()


def _relations(targets: list[tuple[str, str]]) -> str:
    found = "".join(
        f'<Relationship Id="r{n}" Type="{OFFICE}/{kind}" Target="{target}"/>'
        for n, (kind, target) in enumerate(targets)
    )
    return f'<Relationships xmlns="{PACKAGE}/relationships">{found}</Relationships>'


def _sheet(rows: list[list[Cell]]) -> str:
    lines = (
        f'<row r="{r + 1}">{"".join(_cell(f"{chr(65 + c)}{r + 1}", v) for c, v in enumerate(row))}</row>'
        for r, row in enumerate(rows)
    )
    return f'<worksheet xmlns="{MAIN}"><sheetData>{"".join(lines)}</sheetData></worksheet>'


def _cell(place: str, value: Cell) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        text = escape(value)
        return f'<c r="{place}" t="inlineStr"><is><t xml:space="preserve">{text}</t></is></c>'
    if isinstance(value, datetime):
        days = (value - datetime(1899, 12, 30)).total_seconds() / 86_400
        return f'<c r="{place}" s="1"><v>{days!r}</v></c>'
    return f'<c r="{place}"><v>{value}</v></c>'
