# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The forms in which APIs page their lists, and the signs that a list goes on.

A list is followed to its end, or it is an error: a part of a list must never pass for the whole.

This file is private to the collection; it can change at any time.
"""

from __future__ import annotations

import json
import re
import typing as t
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlsplit

from ansible_collections.planasonix.admin.plugins.module_utils._transport import resolve

Query = tuple[tuple[str, str], ...]

MAXIMUM_PAGES = 10_000
MAXIMUM_OBJECTS = 200_000
MAXIMUM_LEVELS = 3
"""Objects around a field, outside of the data."""
LAST = frozenset({"none", "null", "false", "0", ""})
"""Values, as text, of a cursor or link that leads nowhere."""

# Names without case and separators: next_cursor, nextCursor and next-cursor are the same.
TARGET = (
    "(?:page|cursor|token|link|url|uri|href|path|query|offset|skip|start|from|after|index|marker"
    "|position|batch|id|key|value|set|number|num|no|params?|records?|results?|items?)"
)
NEXT = re.compile(
    f"(?:odata|opc)?(?:next{TARGET}*|{TARGET}+next)"
    "|continu(?:e|ation)(?:token|key|id|cursor|link|url|uri)?|resum(?:e|ption)token"
    "|lastevaluatedkey"
)
"""Fields with a value where the list goes on."""
POSITION = re.compile(
    "(?:end|after|last|forward)?cursor|after(?:id|token|key)?|endkey|pagetoken"
    "|scrollid|(?:page)?marker|bookmark|searchafter"
)
"""Fields that an API may also give with the last page, for example the position of its end."""
ITEMS = "(?:results?|items?|records?|rows?|objects?|entries|elements?|data|hits|documents)"
MORE = re.compile(
    "(?:has|have|is|are)?(?:there)?"
    f"(?:(?:any)?(?:more|next|additional)(?:{ITEMS}|pages?|available)*"
    f"|{ITEMS}?(?:truncated|partial|incomplete){ITEMS}?)"
)
"""Fields that are true where the list goes on."""
NO_MORE = re.compile(
    f"(?:is)?(?:last|final)(?:page)?|(?:is|are)?{ITEMS}?(?:complete|done|finished|exhausted|eof)"
)
"""Fields that are false where the list goes on."""
TOTAL = re.compile(
    f"(?:odata)?(?:(?:grand|overall)?total(?:number|num|no)?(?:of)?{ITEMS}?(?:count|size|number)?"
    f"|{ITEMS}total|total(?:count|size|found|matches|available)|num(?:ber)?found)"
)
"""Fields with the number of objects of the list."""
COUNT = re.compile(
    f"(?:odata|full|all)?(?:{ITEMS}?(?:count|counter)|num(?:ber)?(?:of)?{ITEMS}|countof{ITEMS})"
)
"""Fields with the number of objects of the list, or of the page."""
REMAINING = re.compile(f"(?:remaining{ITEMS}?(?:count)?|{ITEMS}remaining|remainingitemcount)")
PAGE = re.compile("(?:current)?page(?:number|num|no|index)?|pagecurrent")
PAGES = re.compile(
    "total(?:num(?:ber)?of)?pages?(?:count)?|pages?total|pages|lastpage|num(?:ber)?(?:of)?pages"
    "|pages?count"
)
OFFSET = re.compile("offset")
SIZE = re.compile(
    "(?:page)?limit|(?:page)?size|(?:items|results|records)?perpage|max(?:results|items|records)"
)
"""Fields with the number of objects that a page may have."""
ENVELOPES = re.compile(
    "meta(?:data)?|pagination|paging|pages?|pageinfo|pager|list(?:info)?|results?|response"
    "|total(?:s|count)?|summary|info|links|cursors?|headers?|collection|resultset|hits"
)
"""Where any number is that of the list; elsewhere it may count anything."""
OTHERS = re.compile(
    "(?:rate|ratelimit|ratelimiting|limit|quota|usage|plan|tier|billing|allowance|credit|cost"
    "|timing|feature|flag|setting|organi[sz]ation|account|user|warning|notice)s?"
)
"""Objects of an envelope that are not about the list."""
TIME = re.compile(r"\d{4}-\d\d-\d\d([T ].*)?")
NUMBERED = {"nextpage": "page", "nextpagenumber": "page", "nextoffset": "offset"}
"""Fields whose number is the value of a parameter."""
HREFS = ("href", "url", "uri", "link")
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
    :param quote: Returns a text of the API as a message may show it, with a length at most.
    :ivar objects: What was read, each id once, without ``updated_at``.
    """

    def __init__(self, name: str, url: str, quote: Callable[[str, int], str]) -> None:
        self.name = name
        self.url = url
        self.quote = quote
        self.objects: list[dict[str, t.Any]] = []
        self.ids: set[str] = set()
        self.seen: set[Query] = set()
        self.totals: list[int] = []
        self.counts: list[int] = []

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
        fields = [*_fields(envelope), *_header_fields(headers)]
        total = _total(fields, headers, len(self.objects))
        if total is not None:
            self.totals.append(total)
        count = _number(fields, COUNT)
        if count is not None:
            self.counts.append(count)
        more = _says_more(fields)
        query = self._next_query(fields, len(page), more)
        if query and not (more is False and len(self.objects) == before):
            if query in self.seen or len(self.seen) >= MAXIMUM_PAGES:
                last = self.quote("&".join(f"{name}={value}" for name, value in query), 60)
                raise IncompleteList(f"the pages of {self.name} do not end; the last was {last}")
            self.seen.add(query)
            return query
        self._check_complete(more, status, headers)
        if more is None and not self.seen:
            self._check_position(fields, len(page))
        return None

    def _add_object(self, item: dict[str, t.Any]) -> None:
        """Add an object, unless it was on an earlier page: pages overlap when a list grows."""
        if item.get("id") is not None:
            if str(item["id"]) in self.ids:
                return
            self.ids.add(str(item["id"]))
        self.objects.append({name: value for name, value in item.items() if name != "updated_at"})

    def _next_query(self, fields: list[Field], count: int, more: bool | None) -> Query | None:
        """Find what leads to the next page, in the order of how certain it is."""
        unknown: list[IncompleteList] = []
        for field in filter(_leads_on, fields):
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
            return self._read_query(value)
        if _is_cursor(field) and (is_text or is_number):
            return (("cursor", str(value)),)
        if field.name in NUMBERED and re.fullmatch("[0-9]{1,15}", str(value)):
            return ((NUMBERED[field.name], str(value)),)
        if is_text and value.startswith("/"):
            return self._read_query(value)
        raise self._unusable(field)

    def _read_query(self, link: str) -> Query:
        """Take the query from the link of a page.

        :raises IncompleteList: if it leads to another address than that of the list.
        """
        target = resolve(self.url, link)
        parts = urlsplit(target.url if target.same_origin else "")
        if parts.path != urlsplit(self.url).path or not parts.query:
            raise self._unknown(f"the next page is at {self.quote(target.shown, 200)}")
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
        offset = _number(fields, OFFSET)
        if offset is None or not count:
            return None
        total = max([*self.totals[-1:], *self.counts[-1:]], default=0)
        if more or (more is None and total > offset + count):
            return (("offset", str(offset + count)),)
        return None

    def _check_complete(self, more: bool | None, status: int, headers: Mapping[str, str]) -> None:
        """Compare what was read with what the API says there is.

        The smallest total counts: a list that grows while it is read is complete as of its start.

        :raises IncompleteList: if something is missing.
        """
        if more:
            raise self._unknown("it says that there is more, but not where")
        least = max(min(self.totals, default=0), min(self.counts, default=0))
        if least > len(self.objects):
            raise self._unknown(f"it has {least} objects, and gave {len(self.objects)}")
        if self.totals or (status != 206 and (self.seen or more is False)):
            return
        if status == 206:
            raise self._unknown("it answers with a part of itself, 206")
        if re.fullmatch(r".*/\s*\*", headers.get("Content-Range", "").strip()):
            raise self._unknown("its Content-Range does not say how many objects it has")

    def _check_position(self, fields: list[Field], count: int) -> None:
        """Check that a cursor which may lead on is that of a complete list.

        The list is complete if its page has room for more, or a total says so.

        :raises IncompleteList: if there may be more.
        """
        size, total = _number(fields, SIZE), _number(fields, TOTAL)
        if (size is not None and count < size) or (total is not None and total <= count):
            return
        for field in fields:
            is_last = str(field.value).strip().lower() in LAST
            if POSITION.fullmatch(field.name) and not is_last and field.value not in ([], {}):
                raise self._unusable(field)

    def _unusable(self, field: Field) -> IncompleteList:
        """Build the error for a field that may lead on, in a way that is not known."""
        value = self.quote(str(field.value), 60)
        return self._unknown(f"{self.quote(field.label, 60)} is {value!r}")

    def _unknown(self, sign: str) -> IncompleteList:
        """Build the error for a list that goes on in a way that is not known."""
        return IncompleteList(
            f"{self.name} is paged in a way that this collection does not know ({sign})"
        )


def _fields(
    envelope: Mapping[str, t.Any], parents: tuple[str, ...] = (), label: str = ""
) -> Iterator[Field]:
    """Yield the fields of an envelope, those of inner objects about the list included."""
    for key, value in envelope.items():
        name = _plain(str(key))
        place = f"{label}.{key}".lstrip(".")
        if isinstance(value, dict) and OTHERS.fullmatch(name):
            continue
        if isinstance(value, dict) and len(parents) < MAXIMUM_LEVELS:
            yield from _fields(value, (*parents, name), place)
            continue
        yield Field(name, parents, place, value)
        for item in value if isinstance(value, list) else ():
            if isinstance(item, dict) and _is_next(item.get("rel")):
                target = next((item[name] for name in HREFS if name in item), item)
                yield Field("next", (*parents, name), f"{place}.next", target)


def _header_fields(headers: Mapping[str, str]) -> Iterator[Field]:
    """Yield what the headers of an answer say about the list, the links first."""
    for link in _next_links(headers):
        yield Field("next", (), "Link", link)
    for key, value in headers.items():
        name = _plain(re.sub("^x-", "", key.lower()))
        if name in ("pagination", "paging"):
            try:
                envelope = json.loads(value)
            except ValueError:
                continue
            if isinstance(envelope, dict):
                yield from _fields(envelope, (name,), key)
            continue
        name = re.sub("^(pagination|paging)", "", name)
        # Of a rate limit there remains something as well.
        if not REMAINING.fullmatch(name):
            yield Field(name, (), key, value)


def _plain(name: str) -> str:
    """Return a name without case and separators."""
    return re.sub("[^a-z]", "", name.lower())


def _is_next(relation: t.Any) -> bool:
    """Whether the relation of a link, a text or a list of texts, is that of the next page."""
    relations = relation if isinstance(relation, list) else str(relation).split()
    return "next" in [str(item).strip().lower() for item in relations]


def _leads_on(field: Field) -> bool:
    """Whether a field leads to a next page."""
    text = str(field.value).strip()
    if text.lower() in LAST or field.value in ([], {}):
        return False
    if _is_in_next(field):
        return field.name not in LINK_DETAILS
    is_time = TIME.fullmatch(text) and not re.search("cursor|token|page|after", field.name)
    return bool(NEXT.fullmatch(field.name)) and not is_time


def _is_cursor(field: Field) -> bool:
    """Whether the value of a field that leads on is a cursor."""
    if _is_in_next(field):
        return field.name == "cursor"
    return "cursor" in "".join(field.parents[-1:]) + field.name


def _is_in_next(field: Field) -> bool:
    """Whether a field is a part of what leads on."""
    return any(NEXT.fullmatch(parent) for parent in field.parents)


def _next_links(headers: Mapping[str, str]) -> Iterator[str]:
    """Yield the targets of a ``Link`` header that lead to the next page."""
    for link, parameters in re.findall(r"<([^<>]*)>([^<]*)", headers.get("Link", "")):
        relation = re.search(r"""\brel\s*=\s*["']?([^"';,]*)""", parameters, re.IGNORECASE)
        if relation and _is_next(relation[1]):
            yield link


def _says_more(fields: list[Field]) -> bool | None:
    """Whether an answer says that the list goes on; ``None`` where it says nothing."""
    signs = set()
    for field in fields:
        value = str(field.value).strip().lower()
        if value not in ("true", "false", "yes", "no", "1", "0"):
            continue
        is_true = value in ("true", "yes", "1")
        if MORE.fullmatch(field.name) and not NEXT.fullmatch(field.name):
            signs.add(is_true)
        if NO_MORE.fullmatch(field.name) and value not in ("1", "0"):
            signs.add(not is_true)
    return any(signs) if signs else None


def _total(fields: list[Field], headers: Mapping[str, str], count: int) -> int | None:
    """Return how many objects the list has, by what an answer says about it.

    :param count: How many objects were read.
    """
    totals = [_number(fields, TOTAL)]
    remaining = _number(fields, REMAINING)
    if remaining is not None:
        totals.append(count + remaining)
    found = re.fullmatch(r".*/\s*([0-9]{1,15})", headers.get("Content-Range", "").strip())
    if found:
        totals.append(int(found[1]))
    return max((total for total in totals if total is not None), default=None)


def _number(fields: list[Field], names: re.Pattern[str]) -> int | None:
    """Return the largest whole number under one of the names, in an object about the list."""
    numbers = []
    for field in fields:
        name, parents = field.name, field.parents
        if name in ("value", "count", "number") and parents and names.fullmatch(parents[-1]):
            name, parents = parents[-1], parents[:-1]
        if not names.fullmatch(name) or isinstance(field.value, bool):
            continue
        if not all(ENVELOPES.fullmatch(parent) for parent in parents):
            continue
        found = re.fullmatch(r"([0-9]{1,15})(\.0+)?", str(field.value).strip())
        if found:
            numbers.append(int(found[1]))
    return max(numbers, default=None)
