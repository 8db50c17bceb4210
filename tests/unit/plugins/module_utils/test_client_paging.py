# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Lists in pages: each usual form is read to its end, and no part passes for the whole list."""

from __future__ import annotations

import typing as t

import pytest
from unit.plugins.scripted_server import Answer, ScriptedServer

from ansible_collections.planasonix.admin.plugins.module_utils import _paging
from ansible_collections.planasonix.admin.plugins.module_utils._client import Client
from ansible_collections.planasonix.admin.plugins.module_utils._errors import ApiError
from ansible_collections.planasonix.admin.plugins.module_utils._transport import Connection

PATH = "/api/things"
IDS = [[1, 2], [3, 4], [5]]
"""The objects of three pages."""


def read(server: ScriptedServer, prefix: str = "") -> list[dict[str, t.Any]]:
    connection = Connection(server.url + prefix, "plnx_live_key", timeout=5, retries=0)
    with Client(connection, sleep=lambda dummy_seconds: None) as client:
        return client.get_list(PATH, "read the things")


def page(number: int, **envelope: t.Any) -> dict[str, t.Any]:
    return {"data": [{"id": item_id} for item_id in IDS[number]], **envelope}


def script(*envelopes: dict[str, t.Any]) -> list[Answer]:
    return [Answer(200, page(number, **envelope)) for number, envelope in enumerate(envelopes)]


def linked(*links: str) -> list[Answer]:
    return [
        Answer(200, page(number), {"Link": link} if link else {})
        for number, link in enumerate(links)
    ]


def headed(*headers: dict[str, str]) -> list[Answer]:
    return [Answer(200, page(number), header) for number, header in enumerate(headers)]


CURSORS = ["cursor=b", "cursor=c"]
NUMBERS = ["page=2", "page=3"]
OFFSETS = ["offset=2", "offset=4"]


def nested(*names: str, last: t.Any = None, **more: t.Any) -> list[Answer]:
    """Three pages whose cursors stand under these names."""
    envelopes = []
    for value in ("b", "c", last):
        envelope: t.Any = value
        for name in reversed(names):
            envelope = {name: envelope}
        envelopes.append({**more, **envelope})
    return script(*envelopes)


@pytest.mark.parametrize(
    ("answers", "queries"),
    [
        pytest.param(nested("meta", "next_cursor"), CURSORS, id="documented"),
        pytest.param(nested("next_cursor"), CURSORS, id="at-the-top"),
        pytest.param(nested("nextCursor"), CURSORS, id="camel-case-at-the-top"),
        pytest.param(nested("meta", "nextCursor"), CURSORS, id="camel-case"),
        pytest.param(nested("meta", "next-cursor"), CURSORS, id="dash"),
        pytest.param(nested("meta", "cursor", "next"), CURSORS, id="cursor.next"),
        pytest.param(nested("meta", "cursors", "next"), CURSORS, id="cursors.next"),
        pytest.param(nested("cursor", "next"), CURSORS, id="cursor.next-at-the-top"),
        pytest.param(nested("meta", "pagination", "next_cursor"), CURSORS, id="meta.pagination"),
        pytest.param(nested("pagination", "next_cursor"), CURSORS, id="pagination"),
        pytest.param(nested("paging", "next", "cursor"), CURSORS, id="next.cursor"),
        pytest.param(nested("next_cursor", last=False), CURSORS, id="false"),
        pytest.param(nested("next_cursor", last="null"), CURSORS, id="text-null"),
        pytest.param(nested("next_cursor", last=""), CURSORS, id="empty"),
        pytest.param(nested("next_cursor", last=0), CURSORS, id="zero"),
        pytest.param(nested("next_cursor", meta={"total": 5}), CURSORS, id="total"),
        pytest.param(
            script(
                {"links": {"next": f"{PATH}?cursor=b&limit=2"}},
                {"links": {"next": "?cursor=c&limit=2"}},
                {"links": {"next": None}},
            ),
            ["cursor=b&limit=2", "cursor=c&limit=2"],
            id="links.next",
        ),
        pytest.param(
            script(
                {"meta": {"links": {"next": f"{PATH}?cursor=b"}}},
                {"meta": {"links": {"next": f"{PATH}?cursor=c"}}},
                {"meta": {"links": {}}},
            ),
            CURSORS,
            id="meta.links.next",
        ),
        pytest.param(
            script({"next": f"{PATH}?page=2"}, {"next": f"{PATH}?page=3"}, {"next": None}),
            NUMBERS,
            id="next",
        ),
        pytest.param(
            script(
                {"_links": {"next": {"href": f"{PATH}?cursor=b", "title": "Next"}}},
                {"_links": {"next": {"href": f"{PATH}?cursor=c"}}},
                {"_links": {"self": {"href": PATH}}},
            ),
            CURSORS,
            id="hal",
        ),
        pytest.param(
            script(
                {"links": [{"rel": "self", "href": "x"}, {"rel": "next", "href": "?cursor=b"}]},
                {"links": [{"rel": "next", "href": "?cursor=c"}]},
                {"links": [{"rel": "self", "href": "x"}]},
            ),
            CURSORS,
            id="list-of-links",
        ),
        pytest.param(
            script({"next_cursor": f"{PATH}?cursor=b"}, {"next_cursor": "?cursor=c"}, {}),
            CURSORS,
            id="link-as-cursor",
        ),
        pytest.param(
            linked(
                f'<{PATH}>; rel="first", <{PATH}?cursor=b>; rel="next"',
                f"<{PATH}?cursor=c>; title=x; rel=next",
                f'<{PATH}>; rel="prev"',
            ),
            CURSORS,
            id="link-header",
        ),
        pytest.param(
            script(
                {"page": 1, "total_pages": 3},
                {"page": 2, "total_pages": 3},
                {"page": 3, "total_pages": 3},
            ),
            NUMBERS,
            id="page-of-pages",
        ),
        pytest.param(
            script(
                {"meta": {"current_page": 1, "last_page": 3, "total": 5}},
                {"meta": {"current_page": 2, "last_page": 3, "total": 5}},
                {"meta": {"current_page": 3, "last_page": 3, "total": 5}},
            ),
            NUMBERS,
            id="current-page",
        ),
        pytest.param(
            script({"meta": {"next_page": 2}}, {"meta": {"next_page": 3}}, {"next_page": None}),
            NUMBERS,
            id="next-page",
        ),
        pytest.param(
            script(
                {"offset": 0, "limit": 2, "has_more": True},
                {"offset": 2, "limit": 2, "has_more": True},
                {"offset": 4, "limit": 2, "has_more": False},
            ),
            OFFSETS,
            id="offset-and-more",
        ),
        pytest.param(
            script(
                {"meta": {"offset": 0, "total": 5}},
                {"meta": {"offset": 2, "total": 5}},
                {"meta": {"offset": 4, "total": 5}},
            ),
            OFFSETS,
            id="offset-and-total",
        ),
        pytest.param(
            script({"@odata.nextLink": f"{PATH}?cursor=b"}, {"odata.nextLink": "?cursor=c"}, {}),
            CURSORS,
            id="odata",
        ),
        pytest.param(
            script(
                {"links": [{"rel": ["self"], "href": PATH}, {"rel": ["next"], "url": "?cursor=b"}]},
                {"links": [{"rel": "last next", "uri": "?cursor=c"}]},
                {"links": [{"rel": ["next"], "href": None}]},
            ),
            CURSORS,
            id="list-of-links-with-lists",
        ),
        pytest.param(
            headed({"X-Next-Page": "2"}, {"X-Next-Page": "3"}, {"X-Next-Page": ""}),
            NUMBERS,
            id="next-page-header",
        ),
        pytest.param(
            headed({"X-Next-Cursor": "b"}, {"X-Next-Cursor": "c"}, {}),
            CURSORS,
            id="next-cursor-header",
        ),
        pytest.param(
            headed(*({"X-Page": str(number), "X-Total-Pages": "3"} for number in (1, 2, 3))),
            NUMBERS,
            id="page-headers",
        ),
        pytest.param(
            headed(
                *(
                    {"X-Pagination-Current-Page": str(number), "X-Pagination-Page-Count": "3"}
                    for number in (1, 2, 3)
                )
            ),
            NUMBERS,
            id="pagination-headers",
        ),
        pytest.param(
            headed(
                *(
                    {"X-Pagination": f'{{"CurrentPage": {number}, "TotalPages": 3}}'}
                    for number in (1, 2, 3)
                )
            ),
            NUMBERS,
            id="json-header",
        ),
        pytest.param(
            script(
                {"paging": {"next": "?after=b", "cursors": {"after": "b"}}},
                {"paging": {"next": "?after=c", "cursors": {"after": "c"}}},
                {"paging": {"cursors": {"after": "d"}}},
            ),
            ["after=b", "after=c"],
            id="cursors-next-to-links",
        ),
        pytest.param(
            script(
                {"page": 1, "total_pages": "3", "count": 2, "total": 5.0},
                {"page": 2, "total_pages": "3", "count": 2, "total": 5.0},
                {"page": 3, "total_pages": "3", "count": 1, "total": 5.0},
            ),
            NUMBERS,
            id="count-of-the-page",
        ),
    ],
)
def test_forms_of_paging(answers, queries):
    with ScriptedServer(*answers) as server:
        assert [item["id"] for item in read(server)] == [1, 2, 3, 4, 5]
        assert [request.path for request in server.requests] == [
            PATH,
            *(f"{PATH}?{query}" for query in queries),
        ]


@pytest.mark.parametrize("prefix", ["", "/v1"])
def test_absolute_links(prefix):
    with ScriptedServer() as server:
        link = f"{server.url}{prefix}{PATH}?cursor=b"
        for envelope in ({"next": link}, {"next_cursor": link}):
            server.script = [Answer(200, page(0, **envelope)), Answer(200, page(1))]
            assert [item["id"] for item in read(server, prefix)] == [1, 2, 3, 4]
        assert {request.path for request in server.requests} == {
            f"{prefix}{PATH}",
            f"{prefix}{PATH}?cursor=b",
        }


@pytest.mark.parametrize(
    ("answer", "sign"),
    [
        ({"has_more": True}, "it says that there is more, but not where"),
        ({"meta": {"hasMore": True}}, "it says that there is more, but not where"),
        ({"page_info": {"has_next_page": "true"}}, "it says that there is more, but not where"),
        ({"has_more": True, "next_cursor": None}, "it says that there is more, but not where"),
        ({"is_truncated": True}, "it says that there is more, but not where"),
        ({"last": False}, "it says that there is more, but not where"),
        ({"meta": {"total": 5}}, "it has 5 objects, and gave 2"),
        ({"total": "5"}, "it has 5 objects, and gave 2"),
        ({"total_count": 3}, "it has 3 objects, and gave 2"),
        ({"meta": {"pagination": {"totalItems": 5}}}, "it has 5 objects, and gave 2"),
        ({"total_pages": 3}, "it has 3 pages"),
        ({"page": 0, "total_pages": 3}, "it has 3 pages"),
        ({"next": True}, "next is 'True'"),
        ({"next": "b"}, "next is 'b'"),
        ({"next_token": "b"}, "next_token is 'b'"),
        ({"meta": {"nextPage": "b"}}, "meta.nextPage is 'b'"),
        ({"next_cursor": True}, "next_cursor is 'True'"),
        ({"next_cursor": ["b"]}, "next_cursor is \"['b']\""),
        ({"next_cursor": {"id": 5}}, "next_cursor.id is '5'"),
        ({"next": {"href": {"a": 1}}}, "next.href.a is '1'"),
        (
            {"next": f"https://elsewhere.example.com{PATH}?cursor=b"},
            "the next page is at https://elsewhere.example.com/api/things",
        ),
        (
            {"next_cursor": "https://elsewhere.example.com/?cursor=b"},
            "the next page is at https://elsewhere.example.com/",
        ),
        (
            {"next": "/api/others?cursor=b"},
            "the next page is at {server}/api/others",
        ),
        ({"next": "https://[::1"}, "the next page is at https://[::1"),
        ({"next": PATH}, "the next page is at {server}/api/things"),
        ({"meta": {"cursor": "abc", "limit": 2}}, "meta.cursor is 'abc'"),
        ({"cursor": "abc"}, "cursor is 'abc'"),
        ({"cursor": "abc", "limit": 2, "count": 2}, "cursor is 'abc'"),
        ({"paging": {"cursors": {"after": "abc"}}}, "paging.cursors.after is 'abc'"),
        ({"continuationToken": "abc"}, "continuationToken is 'abc'"),
        ({"metadata": {"continue": "abc"}}, "metadata.continue is 'abc'"),
        ({"LastEvaluatedKey": {"id": "b"}}, "LastEvaluatedKey.id is 'b'"),
        ({"meta": {"end_cursor": "abc"}}, "meta.end_cursor is 'abc'"),
        (
            {"meta": {"end_cursor": "abc", "has_next_page": True}},
            "it says that there is more, but not where",
        ),
        ({"links": [{"rel": ["next"]}]}, "links.next is \"{'rel': ['next']}\""),
        ({"count": 4}, "it has 4 objects, and gave 2"),
        ({"@odata.count": 4}, "it has 4 objects, and gave 2"),
        ({"meta": {"total": 4.0}}, "it has 4 objects, and gave 2"),
        ({"meta": {"total": " 4.0 "}}, "it has 4 objects, and gave 2"),
        ({"meta": {"total": {"value": 4, "relation": "eq"}}}, "it has 4 objects, and gave 2"),
        ({"totalElements": 4}, "it has 4 objects, and gave 2"),
        ({"page": {"size": 2, "totalElements": 4}}, "it has 4 objects, and gave 2"),
        ({"meta": {"total_entries": 4}}, "it has 4 objects, and gave 2"),
        ({"list": {"total": 4}}, "it has 4 objects, and gave 2"),
        ({"recordsTotal": 4}, "it has 4 objects, and gave 2"),
        ({"count": 2, "total": 4}, "it has 4 objects, and gave 2"),
        ({"remaining": 2}, "it has 4 objects, and gave 2"),
        ({"metadata": {"remainingItemCount": 2}}, "it has 4 objects, and gave 2"),
        ({"hasMoreResults": True}, "it says that there is more, but not where"),
        ({"moreResultsAvailable": "yes"}, "it says that there is more, but not where"),
        ({"partial": True}, "it says that there is more, but not where"),
        ({"incomplete_results": True}, "it says that there is more, but not where"),
        ({"done": False}, "it says that there is more, but not where"),
        ({"complete": "false"}, "it says that there is more, but not where"),
    ],
    ids=str,
)
def test_a_list_that_goes_on_in_another_way_is_an_error(answer, sign):
    with ScriptedServer(Answer(200, page(0, **answer))) as server:
        with pytest.raises(ApiError) as caught:
            read(server)
        assert len(server.requests) == 1
    assert caught.value.message == (
        "Could not read the things: GET /api/things is paged in a way that this collection does "
        f"not know ({sign.replace('{server}', server.url)})."
    )
    assert caught.value.details == {"method": "GET", "path": PATH}


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        (200, {"X-Total-Count": "5"}),
        (200, {"Content-Range": "items 0-1/5"}),
        (206, {"Content-Range": "items 0-1/5"}),
        (206, {"Content-Range": "items 0-1/*"}),
        (206, {}),
        (206, {"X-Count": "2"}),
        (200, {"Content-Range": "items 0-1/*"}),
        (200, {"X-Has-More": "true"}),
        (200, {"X-Total-Pages": "2"}),
        (200, {"X-Pagination": '{"TotalCount": 4}'}),
        (200, {"X-Pagination": '{"HasNext": true}'}),
        (200, {"X-Pagination-Total-Count": "4"}),
        (200, {"X-Cursor": "abc"}),
        (200, {"X-Continuation-Token": "abc"}),
        (200, {"Link": "<https://elsewhere.example.com/things?cursor=b>; rel=next"}),
    ],
    ids=str,
)
def test_headers_that_tell_of_more(status, headers):
    with ScriptedServer(Answer(status, page(0), headers)) as server:
        with pytest.raises(ApiError, match="paged in a way that this collection does not know"):
            read(server)


@pytest.mark.parametrize(
    ("envelope", "headers"),
    [
        ({"meta": {"total": 2}}, {}),
        ({"meta": {"total": 1}}, {}),
        ({"meta": {"total": None}}, {}),
        ({"meta": {"total": "many"}}, {}),
        ({"meta": {"limits": {"total": 50}}}, {}),
        ({"meta": {"count": 2, "limit": 100}}, {}),
        ({"has_more": False}, {}),
        ({"page": 1, "total_pages": 1}, {}),
        ({"page": 1, "total_pages": 0}, {}),
        ({"last": True}, {}),
        ({"last": "https://example.com"}, {}),
        ({"links": {"next": None, "self": PATH}}, {}),
        ({"offset": 0, "total": 2}, {}),
        ({}, {"X-Total-Count": "2"}),
        ({}, {"Content-Range": "items 0-1/2"}),
        ({}, {"Link": f"<{PATH}>; rel=self"}),
        ({"meta": {"next_maintenance": "2026-12-01T00:00:00Z"}}, {}),
        ({"meta": {"next_maintenance": {"at": "2026-12-01", "id": 4}}}, {}),
        ({"meta": {"next_run_at": "2026-12-01T00:00:00Z", "next_start": "2026-12-01"}}, {}),
        ({"meta": {"next_invoice": 4, "nextSteps": "read the docs"}}, {}),
        ({"count": 2, "next": None, "previous": None}, {}),
        ({"meta": {"per_page": 2}}, {}),
        ({"limit": 2}, {}),
        ({"page_size": 2, "page": 1}, {}),
        ({"meta": {"cursor": "abc", "limit": 100}}, {}),
        ({"meta": {"cursor": "abc", "total": 2}}, {}),
        ({"meta": {"cursor": None, "limit": 2}}, {}),
        ({"meta": {"end_cursor": "abc", "has_next_page": False}}, {}),
        ({"remaining": 0, "done": True, "partial": False}, {}),
        ({"meta": {"rate_limit": {"remaining": 99, "limit": 2}}}, {}),
        ({"organization": {"pipelines": {"count": 9}, "total": 9}}, {}),
        ({"meta": {"member_count": 40, "total_time": 40, "request_id": "abc"}}, {}),
        ({"@odata.nextLink": None, "@odata.count": 2}, {}),
        ({}, {"X-RateLimit-Remaining": "99", "X-RateLimit-Limit": "100", "X-Remaining": "99"}),
        ({}, {"X-Page": "1", "X-Total-Pages": "1", "X-Total": "2", "X-Next-Page": ""}),
        ({}, {"X-Pagination": "none"}),
        ({}, {"X-Has-More": "false", "X-Next-Cursor": ""}),
        ({"has_more": False}, {"Content-Range": "items 0-1/*"}),
    ],
    ids=str,
)
def test_the_only_page(envelope, headers):
    with ScriptedServer(Answer(200, page(0, **envelope), headers)) as server:
        assert [item["id"] for item in read(server)] == [1, 2]
        assert len(server.requests) == 1


def test_a_cursor_beside_no_more_is_followed_until_a_page_brings_nothing():
    answers = [
        Answer(200, page(0, next_cursor="b", has_more=False)),
        Answer(200, {"data": [], "next_cursor": "c", "has_more": False}),
    ]
    with ScriptedServer(*answers) as server:
        assert [item["id"] for item in read(server)] == [1, 2]
        assert len(server.requests) == 2


def test_an_unknown_sign_beside_a_known_one():
    """The cursor leads on, whatever a proxy made of the link."""
    more = {"next_cursor": "b", "links": {"next": "http://internal.example.com/things?cursor=b"}}
    with ScriptedServer(Answer(200, page(0, **more)), Answer(200, page(1))) as server:
        assert [item["id"] for item in read(server)] == [1, 2, 3, 4]


@pytest.mark.parametrize("total", [None, 4, 5], ids=["none", "before", "after"])
def test_pages_that_overlap(total):
    """An object that is added while a list is read moves the others to later pages."""
    items = [
        [{"id": 2, "name": "b"}, {"id": "3", "name": "c"}],
        [{"id": 3, "name": "again"}, {"id": 4}, {"name": "without id"}],
        [{"id": None}, {"id": None}, {"id": 4}],
    ]
    answers = [
        Answer(200, {"data": items[0], "meta": {"next_cursor": "b", "total": 4}}),
        Answer(200, {"data": items[1], "meta": {"next_cursor": "c", "total": total}}),
        Answer(200, {"data": items[2], "meta": {"next_cursor": None, "total": total}}),
    ]
    with ScriptedServer(*answers) as server:
        assert read(server) == [
            {"id": 2, "name": "b"},
            {"id": "3", "name": "c"},
            {"id": 4},
            {"name": "without id"},
            {"id": None},
            {"id": None},
        ]


@pytest.mark.parametrize(
    "body",
    [
        {"data": None},
        {"data": []},
        [],
        {"data": [], "page": 1, "total_pages": 1},
        {"data": [], "meta": {"page_count": 1, "count": 0}},
        {"data": [], "meta": {"cursor": None, "limit": 100}},
    ],
    ids=str,
)
def test_empty_lists(body):
    with ScriptedServer(Answer(200, body)) as server:
        assert read(server) == []


def test_a_bare_list():
    with ScriptedServer(Answer(200, [{"id": 1, "updated_at": "x"}])) as server:
        assert read(server) == [{"id": 1}]


def test_a_bare_list_with_a_link():
    answers = [
        Answer(200, [{"id": 1}], {"Link": f"<{PATH}?page=2>; rel=next"}),
        Answer(200, [{"id": 2}]),
    ]
    with ScriptedServer(*answers) as server:
        assert read(server) == [{"id": 1}, {"id": 2}]


def test_a_list_of_too_many_objects(monkeypatch):
    monkeypatch.setattr(_paging, "MAXIMUM_OBJECTS", 3)
    answers = script({"next_cursor": "b"}, {"next_cursor": "c"}, {})
    with ScriptedServer(*answers) as server:
        with pytest.raises(ApiError, match="GET /api/things has more than 3 objects"):
            read(server)
        assert len(server.requests) == 2


@pytest.mark.parametrize(
    "envelope",
    [
        {"page": 1, "total_pages": 3},
        {"offset": 0, "has_more": True},
        {"links": {"next": f"{PATH}?cursor=b"}},
    ],
    ids=["page", "offset", "link"],
)
def test_an_api_that_gives_the_same_page_again(envelope):
    with ScriptedServer(*[Answer(200, page(0, **envelope))] * 5) as server:
        with pytest.raises(ApiError, match="the pages of GET /api/things do not end"):
            read(server)
        assert len(server.requests) == 2
