# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Servers that are slow, huge, broken or hostile cost one request, and end in a clear error."""

from __future__ import annotations

import functools
import gzip
import json
import time
import tracemalloc

import pytest
import requests
from unit.plugins.scripted_server import Answer, Drip, ScriptedServer

from ansible_collections.planasonix.admin.plugins.module_utils import _transport
from ansible_collections.planasonix.admin.plugins.module_utils._answers import (
    MAXIMUM_DEPTH,
    parse_json,
)
from ansible_collections.planasonix.admin.plugins.module_utils._client import Client
from ansible_collections.planasonix.admin.plugins.module_utils._errors import (
    AnswerLost,
    ApiError,
    TimedOut,
)
from ansible_collections.planasonix.admin.plugins.module_utils._resource import Write, create_once
from ansible_collections.planasonix.admin.plugins.module_utils._texts import one_line, visible
from ansible_collections.planasonix.admin.plugins.module_utils._transport import Connection

KEY = "plnx_live_key"
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
ESCAPE = "\x1b]0;evil\x07\x9b31m\u202egnp"


def connect(url: str, **options) -> Client:
    options = {"timeout": 5, "retries": 2, **options}
    return Client(Connection(url, KEY, **options), sleep=lambda dummy_seconds: None)


def call(client: Client, verb: str) -> object:
    if verb == "GET":
        return client.get("/api/thing", "read the thing")
    return client.send(verb, "/api/thing", {"a": 1}, action="change the thing").data


@pytest.mark.parametrize("verb", ["GET", "PUT", "POST"])
@pytest.mark.parametrize(
    "drip",
    [
        pytest.param(Drip(b"", b"H"), id="status"),
        pytest.param(Drip(HEAD + b"X-A: ", b"a"), id="header"),
        pytest.param(Drip(HEAD, b"X-A: 1\r\n"), id="headers"),
        pytest.param(Drip(b"", b"HTTP/1.1 100 Continue\r\n\r\n"), id="continue"),
        pytest.param(Drip(HEAD + b"Content-Length: 1000\r\n\r\n", b" "), id="body"),
        pytest.param(Drip(HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"), id="chunk"),
        pytest.param(Drip(HEAD + b"Connection: close\r\n\r\n", b" "), id="until-it-closes"),
        pytest.param(
            Drip(HEAD.replace(b"200", b"503") + b"Content-Length: 1000\r\n\r\n", b" "), id="error"
        ),
    ],
)
def test_an_answer_in_drops_ends_at_the_deadline(drip, verb):
    with ScriptedServer(drip) as server, connect(server.url, deadline=0.4) as client:
        with pytest.raises(ApiError, match="not complete within the deadline of 0.4 s") as caught:
            call(client, verb)
        assert caught.type is (AnswerLost if verb == "POST" else TimedOut)
        assert len(server.requests) == 1


def test_an_object_is_not_created_again_after_the_deadline():
    """With each attempt as long as the deadline, the task would take many times that."""
    create = Write("POST", "/api/things", {"name": "x"}, "create the thing")
    script = [Drip(HEAD + b"Content-Length: 1000\r\n\r\n", b" "), Answer(200, [])]
    options = {"deadline": 0.4, "retries": 5, "retry_budget": 0.4}
    with ScriptedServer(*script) as server, connect(server.url, **options) as client:
        find = functools.partial(client.get_list, "/api/things", "read the things")
        with pytest.raises(AnswerLost, match="within the deadline of 0.4 s"):
            create_once(client, create, find)
    assert [request.method for request in server.requests] == ["POST", "GET"]


def test_an_answer_in_drops_before_the_deadline_is_whole():
    body = b'{"data": {"ok": true}}'
    drip = Drip(HEAD + b"Content-Length: 40\r\n\r\n" + body, b" ", every=0.01)
    with ScriptedServer(drip) as server, connect(server.url, deadline=10) as client:
        assert call(client, "GET") == {"ok": True}


def test_the_deadline_is_that_of_all_redirects_together():
    hop = Answer(307, "", {"Location": "/moved"}, delay=0.3)
    with ScriptedServer(hop, hop, hop, hop) as server, connect(server.url, deadline=0.5) as client:
        with pytest.raises(TimedOut, match="within the deadline of 0.5 s"):
            call(client, "GET")
        assert len(server.requests) == 2


def test_each_request_has_a_deadline_of_its_own():
    slow = Answer(delay=0.3)
    with ScriptedServer(slow, slow, slow) as server, connect(server.url, deadline=0.5) as client:
        for _number in range(3):
            assert call(client, "GET") == {"ok": True}
        assert len({request.port for request in server.requests}) == 1


def test_slow_pages_without_end():
    """Each page is within the deadline, and 10,000 of them would take days."""
    pages = [Answer(200, {"data": [], "next_cursor": f"c{i}"}, delay=0.1) for i in range(60)]
    with (
        ScriptedServer(*pages) as server,
        connect(server.url, deadline=0.2) as client,
        pytest.raises(TimedOut, match="is not complete after 10 times the deadline of 0.2 s"),
    ):
        client.get_list("/api/things", "read the things")
    assert 9 < len(server.requests) < 25


def test_a_deadline_that_is_shorter_than_the_timeout():
    with (
        ScriptedServer(Answer(delay=2)) as server,
        connect(server.url, timeout=30, deadline=0.3) as client,
        pytest.raises(TimedOut, match="within the deadline of 0.3 s"),
    ):
        call(client, "GET")


def test_a_timeout_that_is_shorter_than_the_deadline():
    with (
        ScriptedServer(Answer(delay=1)) as server,
        connect(server.url, timeout=0.2, deadline=30) as client,
    ):
        assert call(client, "GET") == {"ok": True}
        assert len(server.requests) == 2, "a timeout is repeated"


def bomb(size: int) -> bytes:
    """A success that is packed well."""
    return gzip.compress(b'{"data": {"x": "' + b"x" * size + b'"}}')


@pytest.mark.parametrize("verb", ["GET", "PUT", "POST"])
@pytest.mark.parametrize("packed", [True, False], ids=["gzip", "plain"])
def test_an_answer_that_is_too_large(packed, verb, monkeypatch):
    monkeypatch.setattr(_transport, "MAXIMUM_SIZE", 1024 * 1024)
    body = bomb(2 * 1024 * 1024)
    answer = Answer(200, body, {"Content-Encoding": "gzip"})
    if not packed:
        answer = Answer(200, gzip.decompress(body))
    with ScriptedServer(answer) as server, connect(server.url) as client:
        with pytest.raises(
            ApiError, match="in too many bytes .the answer is larger than 1 MiB"
        ) as caught:
            call(client, verb)
        assert caught.type is (AnswerLost if verb == "POST" else ApiError)
        assert not caught.value.did_nothing
        assert len(server.requests) == 1
        assert call(client, "GET") == {"ok": True}


@pytest.mark.parametrize(
    "drip",
    [
        pytest.param(Drip(b"", b"1;" + b"x" * 4000 + b"\r\n \r\n", every=0), id="short-lines"),
        pytest.param(Drip(b"1;", b"x" * 10_000, every=0), id="one-line"),
        pytest.param(Drip(b"0\r\n", b"X-A: " + b"x" * 4000 + b"\r\n", every=0), id="trailers"),
    ],
)
def test_a_small_answer_in_huge_frames_takes_no_memory(drip, monkeypatch):
    """Its pieces have no content, so that no other bound counts."""
    monkeypatch.setattr(_transport, "MAXIMUM_RECEIVED", 1024 * 1024)
    drip.start = HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + drip.start
    with (
        ScriptedServer(drip) as server,
        connect(server.url, deadline=20, retries=0) as client,
        pytest.raises(ApiError, match="more than 1 MiB were sent|exceeded maximum"),
    ):
        call(client, "GET")


@pytest.fixture(scope="module")
def large_bomb() -> bytes:
    return bomb(128 * 1024 * 1024)


@pytest.mark.parametrize("status", [200, 307, 403, 503])
def test_a_small_answer_that_unpacks_to_a_huge_one_takes_no_memory(status, large_bomb):
    headers = {"Content-Encoding": "gzip", "Location": "/moved"}
    with (
        ScriptedServer(Answer(status, large_bomb, headers)) as server,
        connect(server.url, retries=0) as client,
    ):
        tracemalloc.start()
        try:
            if status == 307:
                assert call(client, "GET") == {"ok": True}
            else:
                with pytest.raises(ApiError):
                    call(client, "GET")
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert peak < 100 * 1024 * 1024


def test_an_answer_of_some_megabytes_is_read():
    with (
        ScriptedServer(Answer(200, bomb(8 * 1024 * 1024), {"Content-Encoding": "gzip"})) as server,
        connect(server.url) as client,
    ):
        assert len(client.get("/api/thing", "read the thing")["x"]) == 8 * 1024 * 1024


def test_of_an_error_the_beginning_is_enough():
    reason = b"<html><title>Blocked</title>" + b"x" * 1024 * 1024
    answer = Answer(403, reason, {"Content-Type": "text/html"})
    with (
        ScriptedServer(answer) as server,
        connect(server.url) as client,
        pytest.raises(ApiError, match="an HTML page titled 'Blocked'") as caught,
    ):
        call(client, "GET")
    assert caught.value.status == 403


def test_patterns_meet_texts_that_were_made_for_them():
    """Each of these took minutes where a pattern goes back to where it began."""
    page = {"Content-Type": "text/html"}
    script = [
        Answer(200, "<title>" * 1_000_000, page),
        Answer(403, "<title" * 1_000_000, page),
        Answer(403, b"9a" * 100_000, {"Content-Type": "text/plain; charset=punycode"}),
        Answer(200, [], {"Link": "<" * 60_000}),
        Answer(429, "", {"Retry-After": "1" * 60_000}),
    ]
    start = time.monotonic()
    with ScriptedServer(*script) as server, connect(server.url, retries=0) as client:
        for _number in range(3):
            with pytest.raises(ApiError):
                call(client, "GET")
        assert client.get_list("/api/things", "read the things") == []
        with pytest.raises(ApiError, match="answered 429"):
            call(client, "GET")
    assert time.monotonic() - start < 60  # of minutes, however slow the machine is


@pytest.mark.parametrize("charset", ["base64", "idna", "nonsense", "\x07", "utf-16"])
def test_a_charset_that_is_none(charset):
    answer = Answer(403, b"No", {"Content-Type": f"text/plain; charset={charset}"})
    with ScriptedServer(answer) as server, connect(server.url) as client:
        with pytest.raises(ApiError, match="answered 403"):
            call(client, "GET")


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, gzip", "compress"])
def test_an_encoding_that_was_not_asked_for(encoding):
    headers = {"Content-Encoding": encoding}
    script = [Answer(200, b"packed", headers), Answer(401, b"packed", headers)]
    with ScriptedServer(*script) as server, connect(server.url) as client:
        with pytest.raises(ApiError, match="cannot be decoded"):
            call(client, "GET")
        with pytest.raises(ApiError, match="answered 401"):
            call(client, "GET")
        assert server.requests[0].headers["Accept-Encoding"] == "gzip, deflate"


def test_a_length_that_is_no_number():
    start = HEAD + b"Content-Length: " + b"9" * 5000 + b"\r\nConnection: close\r\n\r\n"
    with (
        ScriptedServer(Drip(start + b'{"data": {}}', b"", every=0)) as server,
        connect(server.url, timeout=0.2, deadline=0.4, retries=0) as client,
        pytest.raises(ApiError, match="gave no whole answer"),
    ):
        call(client, "GET")


def nested(depth: int) -> str:
    return "[" * depth + "]" * depth


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(nested(100_000), id="nested-100000"),
        pytest.param(nested(1000), id="nested-1000"),
        pytest.param(nested(MAXIMUM_DEPTH + 2), id="nested"),
        pytest.param("NaN", id="nan"),
        pytest.param("-Infinity", id="infinity"),
        pytest.param("1e999", id="infinite-float"),
        pytest.param("9" * 5000, id="integer-of-5000-digits"),
        pytest.param(f"[{'[],' * 60_000}[]]", id="objects-without-number"),
        pytest.param(f"[{'1,' * 100_000}1]", id="numbers-without-number"),
        pytest.param(f'"{"a" * 17_000_000}\U0001f600"', id="wide-text"),
    ],
)
def test_json_that_nothing_else_could_work_with(text):
    body = f'{{"data": {{"x": {text}}}}}'
    script = [Answer(200, body), Answer(200, body), Answer(403, body)]
    with ScriptedServer(*script) as server, connect(server.url) as client:
        with pytest.raises(ApiError, match="answered 200 without the documented JSON"):
            call(client, "GET")
        assert call(client, "PUT") is None
        with pytest.raises(ApiError, match="answered 403"):
            call(client, "GET")


@pytest.mark.parametrize(
    "page",
    [
        pytest.param([{str(number): 1} for number in range(100_000)], id="objects"),
        pytest.param([{"x": ["a" * 100] * 90_000}], id="texts"),
        pytest.param([{"x": "a" * 30_000_000}], id="bytes"),
    ],
)
def test_a_list_whose_pages_are_larger_than_memory(page):
    """Each page is within its bounds, and there are many of them."""
    pages = [
        Answer(200, {"data": [{**page[0], "id": number}, *page[1:]], "next_cursor": f"c{number}"})
        for number in range(9)
    ]
    with (
        ScriptedServer(*pages) as server,
        connect(server.url) as client,
        pytest.raises(ApiError, match="GET /api/things has more than 500000 values, or 64 MiB"),
    ):
        client.get_list("/api/things", "read the things")
    assert 2 < len(server.requests) < 7


def test_the_memory_of_the_largest_answer():
    """An organization's answer must not get the worker killed, which would end the whole play."""
    values = ",".join(f'{{"key{number}":{number}}}' for number in range(166_000))
    with (
        ScriptedServer(Answer(200, f"[{values}]")) as server,
        connect(server.url) as client,
    ):
        tracemalloc.start()
        try:
            assert len(client.get_list("/api/things", "read the things")) == 166_000
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert peak < 200 * 1024 * 1024


def test_json_within_bounds():
    text = nested(MAXIMUM_DEPTH)
    assert json.dumps(parse_json(text.encode())) == text
    wide = [[{"a": [1, {"b": 2}]}] * 10] * 500
    assert parse_json(json.dumps(wide).encode()) == wide
    assert parse_json(b"[1.5, 1e3, 12345678901234567890123]") == [1.5, 1e3, 12345678901234567890123]


def test_strange_texts_are_kept_and_half_characters_are_sent_as_they_came():
    body = b'{"data": {"lone": "\\ud83d", "escape": "\\u001b[31m", "zero": "\\u0000"}}'
    with ScriptedServer(Answer(200, body)) as server, connect(server.url) as client:
        found = call(client, "GET")
        assert found == {"lone": "\\ud83d", "escape": "\x1b[31m", "zero": "\x00"}
        client.send("PUT", "/api/things", found, action="update the things")
    sent = json.loads(server.requests[-1].body)
    assert sent == {"lone": "\ud83d", "escape": "\x1b[31m", "zero": "\x00"}


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(
            Answer(403, {"code": ESCAPE, "message": ESCAPE, "request_id": ESCAPE}), id="json"
        ),
        pytest.param(Answer(403, {"message": f"\ud83d{ESCAPE}"}), id="surrogate"),
        pytest.param(Answer(403, ESCAPE.encode()), id="text"),
        pytest.param(Answer(403, b"\xff\xfe\x1b[31m"), id="bytes"),
        pytest.param(
            Answer(403, f"<title>{ESCAPE}</title>".encode(), {"Content-Type": "text/html"}),
            id="title",
        ),
        pytest.param(
            Answer(200, f"<title>{ESCAPE}</title>".encode(), {"Content-Type": "text/html"}),
            id="page",
        ),
        pytest.param(Answer(403, "{}", {"X-Request-Id": "a\x1b[31m\x9bb"}), id="request-id"),
        pytest.param(
            Answer(302, "", {"Location": "https://a\x1b[31m.example.com/\x9b"}), id="location"
        ),
        pytest.param(Answer(302, "", {"Location": "https://[evil\x1b[31m"}), id="broken-location"),
    ],
)
def test_no_control_character_reaches_a_message(answer):
    with (
        ScriptedServer(answer) as server,
        connect(server.url) as client,
        pytest.raises(ApiError) as caught,
    ):
        call(client, "GET")
    shown = caught.value.message + json.dumps(caught.value.details, ensure_ascii=False)
    assert shown == visible(shown)
    shown.encode()


@pytest.mark.parametrize("name", ["next_cursor", "next", ESCAPE])
def test_no_control_character_of_paging_reaches_a_message(name):
    body = {"data": [], "next": {name: ESCAPE}}
    with (
        ScriptedServer(*[Answer(200, body)] * 3) as server,
        connect(server.url) as client,
        pytest.raises(ApiError) as caught,
    ):
        client.get_list("/api/things", "read the things")
    assert caught.value.message == visible(caught.value.message)


def test_long_codes_and_request_ids_are_cut():
    answer = Answer(403, {"code": "c" * 1000, "message": "m" * 1000, "request_id": "r" * 1000})
    with (
        ScriptedServer(answer) as server,
        connect(server.url) as client,
        pytest.raises(ApiError) as caught,
    ):
        call(client, "GET")
    details = caught.value.details
    assert (len(str(details["code"])), len(str(details["request_id"]))) == (60, 100)
    assert len(caught.value.message) < 500


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a\x1b[31mb", "a\\u001b[31mb"),
        ("a\x9bb", "a\\u009bb"),
        ("a\x00\x07\x7f", "a\\u0000\\u0007\\u007f"),
        ("a\u202eb\u2066", "a\\u202eb\\u2066"),
        ("a\ud83db", "a\\ud83db"),
        ("a\nb\r\n\tc\u2028d", "a b c d"),
        ("J\xfcrgen \U0001f600", "J\xfcrgen \U0001f600"),
    ],
    ids=ascii,
)
def test_one_line(text, line):
    assert one_line(text) == line


def test_the_session_follows_no_redirect_itself():
    """requests would read the body of a redirect to its end, whatever its size."""
    with ScriptedServer(Answer(302, "", {"Location": "/moved"})) as server:
        with _transport.Session() as session:
            response = session.get(server.url, allow_redirects=False, stream=True, timeout=5)
            assert not vars(response)["_content_consumed"] and response.status_code == 302
            response.close()
        assert requests.get(server.url, timeout=5).ok
