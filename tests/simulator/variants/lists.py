# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Variants of paging: how an answer says that a list goes on, and where."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..cursors import decode_cursor, encode_cursor
from ..errors import ApiError
from .exchange import Exchange, add

SIZE = 2
"""Objects on a page, so that a list of three has two pages."""

MOST = 50
"""The largest `limit` that one of the variants accepts."""


@dataclass
class Page:
    """One page of a list.

    :param cursor: Cursor of the next page; `None` on the last one.
    """

    items: list[Any]
    start: int
    total: int
    cursor: str | None

    @property
    def number(self) -> int:
        return self.start // SIZE + 1

    def url(self, exchange: Exchange) -> str | None:
        """Return the URL of the next page."""
        return f"{exchange.base}?cursor={self.cursor}" if self.cursor else None


Mark = Callable[[Exchange, Page], None]


def turn_pages(mark: Mark, overlap: int = 0) -> Callable[[Exchange], None]:
    """Return a hook that cuts lists into pages; `mark` says that there are more."""

    def answer(exchange: Exchange) -> None:
        if not exchange.reads_list:
            return
        start = find_start(exchange.query)
        items = exchange.data
        end = start + SIZE
        cursor = encode_cursor(end - overlap) if end < len(items) else None
        page = Page(items[start:end], start, len(items), cursor)
        exchange.data = page.items
        mark(exchange, page)

    return answer


def find_start(query: dict[str, str]) -> int:
    """Return the position of the first object that a query asks for."""
    if query.get("cursor"):
        return decode_cursor(query["cursor"])
    return (int(query.get("page", "1")) - 1) * SIZE


def add_paging(name: str, does: str, mark: Mark, overlap: int = 0) -> None:
    add(
        "paging",
        name,
        f"lists come in pages of {SIZE}; {does}",
        answer=turn_pages(mark, overlap),
        whole_lists=True,
    )


def mark_documented(exchange: Exchange, page: Page) -> None:
    exchange.content["meta"] = {"next_cursor": page.cursor, "total": page.total}


def mark_cursor_only(exchange: Exchange, page: Page) -> None:
    exchange.content["meta"] = {"next_cursor": page.cursor}


def mark_top(exchange: Exchange, page: Page) -> None:
    exchange.content["next_cursor"] = page.cursor


def mark_meta_cursor(exchange: Exchange, page: Page) -> None:
    exchange.content["meta"] = {"cursor": {"next": page.cursor}}


def mark_meta_pagination(exchange: Exchange, page: Page) -> None:
    exchange.content["meta"] = {"pagination": {"next_cursor": page.cursor}}


def mark_pagination(exchange: Exchange, page: Page) -> None:
    exchange.content["pagination"] = {"next_cursor": page.cursor}


def mark_camel_case(exchange: Exchange, page: Page) -> None:
    exchange.content["meta"] = {"nextCursor": page.cursor}


def mark_has_more_cursor(exchange: Exchange, page: Page) -> None:
    exchange.content.update(has_more=page.cursor is not None, next_cursor=page.cursor)


def mark_has_more(exchange: Exchange, page: Page) -> None:
    exchange.content["has_more"] = page.cursor is not None


def mark_meta_has_more(exchange: Exchange, page: Page) -> None:
    exchange.content["meta"] = {"has_more": page.cursor is not None}


def mark_links(exchange: Exchange, page: Page) -> None:
    exchange.content["links"] = {"self": exchange.base, "next": page.url(exchange)}


def mark_link_header(exchange: Exchange, page: Page) -> None:
    links = [f'<{exchange.base}>; rel="first"']
    if page.cursor:
        links.append(f'<{page.url(exchange)}>; rel="next"')
    exchange.headers["link"] = ", ".join(links)


def mark_page_numbers(exchange: Exchange, page: Page) -> None:
    pages = -(-page.total // SIZE)
    exchange.content["meta"] = {"page": page.number, "per_page": SIZE, "total_pages": pages}


def mark_total(exchange: Exchange, page: Page) -> None:
    exchange.content["meta"] = {"total": page.total}


def mark_total_header(exchange: Exchange, page: Page) -> None:
    exchange.headers["x-total-count"] = str(page.total)


def mark_content_range(exchange: Exchange, page: Page) -> None:
    end = page.start + len(page.items) - 1
    exchange.headers["content-range"] = f"items {page.start}-{end}/{page.total}"
    if page.cursor:
        exchange.status = 206


def mark_false(exchange: Exchange, page: Page) -> None:
    exchange.content["meta"] = {"next_cursor": page.cursor or False}


def mark_null_text(exchange: Exchange, page: Page) -> None:
    exchange.content["meta"] = {"next_cursor": page.cursor or "null"}


def mark_cursor_url(exchange: Exchange, page: Page) -> None:
    exchange.content["meta"] = {"next_cursor": page.url(exchange)}


def mark_nothing(dummy_exchange: Exchange, dummy_page: Page) -> None:
    """Leave the answer as it is."""


def check_limit(exchange: Exchange) -> None:
    limit = exchange.query.get("limit", "1")
    if exchange.reads_list and int(limit) > MOST:
        raise ApiError(422, "validation_failed", f"limit: {limit} is more than {MOST}")


for paging_name, paging_does, paging_mark in (
    ("page_documented", "as the reference says", mark_documented),
    ("page_top_cursor", "`next_cursor` at the top", mark_top),
    ("page_cursor_next", "`meta.cursor.next`", mark_meta_cursor),
    ("page_meta_pagination", "`meta.pagination.next_cursor`", mark_meta_pagination),
    ("page_pagination", "`pagination.next_cursor`", mark_pagination),
    ("page_camel_case", "`meta.nextCursor`", mark_camel_case),
    ("page_has_more_cursor", "`has_more` and `next_cursor` at the top", mark_has_more_cursor),
    ("page_has_more", "`has_more` at the top, and no way to go on", mark_has_more),
    ("page_meta_has_more", "`meta.has_more`, and no way to go on", mark_meta_has_more),
    ("page_links", "the URL in `links.next`", mark_links),
    ("page_link_header", "the header `Link`", mark_link_header),
    ("page_numbers", "`meta.page` and `meta.total_pages`, asked for by `page`", mark_page_numbers),
    ("page_total", "`meta.total`, and no way to go on", mark_total),
    ("page_total_header", "the header `X-Total-Count`, and no way to go on", mark_total_header),
    ("page_content_range", "206 and `Content-Range`, and no way to go on", mark_content_range),
    ("page_last_false", "`meta.next_cursor`, false on the last page", mark_false),
    ("page_last_null_text", '`meta.next_cursor`, `"null"` on the last page', mark_null_text),
    ("page_cursor_url", "`meta.next_cursor` is the whole URL", mark_cursor_url),
    ("page_no_mark", "nothing says so", mark_nothing),
):
    add_paging(paging_name, paging_does, paging_mark)
add_paging(
    "page_overlap",
    "each begins with the last object of the page before",
    mark_cursor_only,
    overlap=1,
)
add(
    "paging",
    "page_limit_50",
    f"lists come in pages of {SIZE}, as the reference says; a `limit` over {MOST} is 422",
    request=check_limit,
    answer=turn_pages(mark_documented),
    whole_lists=True,
)
