# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The forms in which APIs page their lists, and the signs that a list goes on.

A list is followed to its end, or it is an error: a part of a list must never pass for the whole.

This file is private to the collection; it can change at any time.
"""

from __future__ import annotations

import re
import typing as t
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlsplit

from ansible_collections.planasonix.admin.plugins.module_utils._connection import resolve
from ansible_collections.planasonix.admin.plugins.module_utils._texts import one_line

Query = tuple[tuple[str, str], ...]

MAXIMUM_PAGES = 10_000
MAXIMUM_OBJECTS = 200_000
MAXIMUM_LEVELS = 3
"""Objects around a field, outside of the data."""
LAST = frozenset({"none", "null", "false", "0", ""})
"""Values, as text, of a cursor or link that leads nowhere."""

# Names without case and separators: next_cursor, nextCursor and next-cursor are the same.
MORE = frozenset(
    {"hasmore", "hasnext", "hasnextpage", "more", "moreavailable", "truncated", "istruncated"}
)
"""Fields that are true where the list goes on."""
NO_MORE = frozenset({"last", "islast", "islastpage"})
"""Fields that are false where the list goes on."""
TOTALS = frozenset({"total", "totalcount", "totalitems", "totalrecords", "totalresults"})
TOTAL_HEADERS = ("X-Total-Count", "X-Total", "Total-Count")
PAGE = frozenset({"page", "currentpage", "pagenumber"})
PAGES = frozenset({"totalpages", "pages", "lastpage", "numpages"})
ENVELOPES = frozenset({"meta", "metadata", "pagination", "paging", "page", "pageinfo"})
"""Where numbers are those of the list; elsewhere they may count anything."""
NUMBERED = {"nextpage": "page", "nextoffset": "offset"}
"""Fields whose number is the value of a parameter."""
LINK_DETAILS = frozenset({"rel", "title", "type", "method", "templated", "name"})


class IncompleteList(Exception):
    """A list cannot be read to its end. The text says why."""


@dataclass(frozen=True)
class Field:
    """A field of an answer outside of its data.

    :param parents: Names of the objects around it, the outermost first.
    :param label: What messages call it: "meta.next_cursor".
    """

    name: str
    parents: tuple[str, ...]
    label: str
    value: t.Any


class Pages:
    """The pages of one list.

    :param name: What messages call the list: "GET /api/things".
    :param url: URL of the list.
    :ivar objects: What was read, each id once, without ``updated_at``.
    """

    def __init__(self, name: str, url: str) -> None:
        self.name = name
        self.url = url
        self.objects: list[dict[str, t.Any]] = []
        self.ids: set[str] = set()
        self.seen: set[Query] = set()
        self.totals: list[int] = []

    def add(
        self,
        page: list[dict[str, t.Any]],
        envelope: Mapping[str, t.Any],
        status: int,
        headers: Mapping[str, str],
    ) -> Query | None:
        """Take a page.

        :param envelope: The answer without its data.
        :returns: The query of the next page, or ``None`` if this was the last one.
        :raises IncompleteList: if there is more, and it is not clear how to read it.
        """
        before = len(self.objects)
        for item in page:
            self._add_object(item)
        if len(self.objects) > MAXIMUM_OBJECTS:
            raise IncompleteList(f"{self.name} has more than {MAXIMUM_OBJECTS} objects")
        fields = list(_fields(envelope))
        total = _total(fields, headers)
        if total is not None:
            self.totals.append(total)
        more = _says_more(fields)
        query = self._next_query(fields, headers, len(page), more)
        if query and not (more is False and len(self.objects) == before):
            if query in self.seen or len(self.seen) >= MAXIMUM_PAGES:
                last = one_line("&".join(f"{name}={value}" for name, value in query), 60)
                raise IncompleteList(f"the pages of {self.name} do not end; the last was {last}")
            self.seen.add(query)
            return query
        self._check_complete(more, status)
        return None

    def _add_object(self, item: dict[str, t.Any]) -> None:
        """Add an object, unless it was on an earlier page: pages overlap when a list grows."""
        if item.get("id") is not None:
            if str(item["id"]) in self.ids:
                return
            self.ids.add(str(item["id"]))
        self.objects.append({name: value for name, value in item.items() if name != "updated_at"})

    def _next_query(
        self, fields: list[Field], headers: Mapping[str, str], count: int, more: bool | None
    ) -> Query | None:
        """Find what leads to the next page, in the order of how certain it is."""
        signs = [field for field in fields if _leads_on(field)]
        signs.extend(Field("next", (), "Link", link) for link in _next_links(headers))
        unknown: list[IncompleteList] = []
        for field in signs:
            try:
                return self._follow(field)
            except IncompleteList as error:
                unknown.append(error)
        if unknown:
            raise unknown[0]
        return self._next_number(fields) or self._next_offset(fields, count, more)

    def _follow(self, field: Field) -> Query:
        """Turn the value of a field that leads on into a query.

        :raises IncompleteList: if the value is not understood.
        """
        value = field.value
        is_text = isinstance(value, str)
        is_number = isinstance(value, int) and not isinstance(value, bool)
        path = urlsplit(self.url).path
        if is_text and re.match(rf"https?://|\?|{re.escape(path)}\?", value, re.IGNORECASE):
            return self._query_of(value)
        if _is_cursor(field) and (is_text or is_number):
            return (("cursor", str(value)),)
        if field.name in NUMBERED and re.fullmatch("[0-9]{1,15}", str(value)):
            return ((NUMBERED[field.name], str(value)),)
        if is_text and value.startswith("/"):
            return self._query_of(value)
        raise self._unknown(f"{field.label} is {one_line(str(value), 60)!r}")

    def _query_of(self, link: str) -> Query:
        """Take the query from the link of a page.

        :raises IncompleteList: if it leads to another address than that of the list.
        """
        target = resolve(self.url, link)
        parts = urlsplit(target.url if target.same_origin else "")
        if parts.path != urlsplit(self.url).path or not parts.query:
            raise self._unknown(f"the next page is at {target.shown}")
        return tuple(parse_qsl(parts.query, keep_blank_values=True))

    def _next_number(self, fields: list[Field]) -> Query | None:
        """Count on from the number of a page, which begins at 1.

        :raises IncompleteList: if there are several pages, and not clear which one this is.
        """
        page, pages = _number(fields, PAGE), _number(fields, PAGES)
        if pages is None or pages <= 1:
            return None
        if not page:
            raise self._unknown(f"it has {pages} pages")
        return (("page", str(page + 1)),) if page < pages else None

    def _next_offset(self, fields: list[Field], count: int, more: bool | None) -> Query | None:
        """Count on from the offset that an answer names."""
        offset = _number(fields, {"offset"})
        if offset is None or not count:
            return None
        total = self.totals[-1] if self.totals else 0
        if more or (more is None and total > offset + count):
            return (("offset", str(offset + count)),)
        return None

    def _check_complete(self, more: bool | None, status: int) -> None:
        """Compare what was read with what the API says there is.

        The smallest total counts: a list that grows while it is read is complete as of its start.

        :raises IncompleteList: if something is missing.
        """
        if more:
            raise self._unknown("it says that there is more, but not where")
        if self.totals and min(self.totals) > len(self.objects):
            raise self._unknown(f"it has {min(self.totals)} objects, and gave {len(self.objects)}")
        if status == 206 and not self.totals:
            raise self._unknown("it answers with a part of itself, 206")

    def _unknown(self, sign: str) -> IncompleteList:
        """Build the error for a list that goes on in a way that is not known."""
        return IncompleteList(
            f"{self.name} is paged in a way that this collection does not know ({sign})"
        )


def _fields(
    envelope: Mapping[str, t.Any], parents: tuple[str, ...] = (), label: str = ""
) -> Iterator[Field]:
    """Yield the fields of an envelope, those of inner objects included."""
    for key, value in envelope.items():
        name = re.sub("[^a-z]", "", str(key).lower())
        place = f"{label}.{key}".lstrip(".")
        if isinstance(value, dict) and len(parents) < MAXIMUM_LEVELS:
            yield from _fields(value, (*parents, name), place)
            continue
        yield Field(name, parents, one_line(place, 60), value)
        for item in value if isinstance(value, list) else ():
            if isinstance(item, dict) and str(item.get("rel")).lower() == "next":
                yield Field(
                    "next", (*parents, name), one_line(f"{place}.next", 60), item.get("href")
                )


def _leads_on(field: Field) -> bool:
    """Whether a field leads to a next page."""
    of_next = _is_in_next(field) and field.name not in LINK_DETAILS
    is_last = str(field.value).strip().lower() in LAST
    return (field.name.startswith("next") or of_next) and not is_last


def _is_cursor(field: Field) -> bool:
    """Whether the value of a field that leads on is a cursor."""
    if _is_in_next(field):
        return field.name == "cursor"
    return "cursor" in "".join(field.parents[-1:]) + field.name


def _is_in_next(field: Field) -> bool:
    """Whether a field is a part of what leads on."""
    return any(parent.startswith("next") for parent in field.parents)


def _next_links(headers: Mapping[str, str]) -> Iterator[str]:
    """Yield the targets of a ``Link`` header that lead to the next page."""
    for link, parameters in re.findall(r"<([^<>]*)>([^<]*)", headers.get("Link", "")):
        relation = re.search(r"""\brel\s*=\s*["']?([^"';,]*)""", parameters, re.IGNORECASE)
        if relation and "next" in relation[1].lower().split():
            yield link


def _says_more(fields: list[Field]) -> bool | None:
    """Whether an answer says that the list goes on; ``None`` where it says nothing."""
    signs = set()
    for field in fields:
        value = str(field.value).lower()
        if field.name in MORE and value in ("true", "false", "1", "0"):
            signs.add(value in ("true", "1"))
        if field.name in NO_MORE and isinstance(field.value, bool):
            signs.add(not field.value)
    return any(signs) if signs else None


def _total(fields: list[Field], headers: Mapping[str, str]) -> int | None:
    """Return how many objects the list has, by what an answer says about it."""
    for name in TOTAL_HEADERS:
        if re.fullmatch("[0-9]{1,15}", headers.get(name, "").strip()):
            return int(headers[name])
    found = re.fullmatch(r".*/([0-9]{1,15})", headers.get("Content-Range", "").strip())
    return int(found[1]) if found else _number(fields, TOTALS)


def _number(fields: list[Field], names: t.AbstractSet[str]) -> int | None:
    """Return the first whole number under one of the names."""
    for field in fields:
        is_number = isinstance(field.value, (int, str)) and not isinstance(field.value, bool)
        if not ENVELOPES.issuperset(field.parents) or field.name not in names:
            continue
        if is_number and re.fullmatch("[0-9]{1,15}", str(field.value)):
            return int(field.value)
    return None
