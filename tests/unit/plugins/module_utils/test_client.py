# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the client does with answers, and with none: the retry rule, the pauses, error bodies and paging."""

from __future__ import annotations

import email.utils
import functools

import pytest
from unit.plugins.scripted_server import (
    DROP,
    HANG,
    SLOW_BODY,
    TRUNCATE,
    Answer,
    ScriptedServer,
    closed_port,
)

from ansible_collections.planasonix.admin.plugins.module_utils import _paging
from ansible_collections.planasonix.admin.plugins.module_utils._answers import (
    Reason,
    parse_error,
    read_retry_after,
)
from ansible_collections.planasonix.admin.plugins.module_utils._client import Client
from ansible_collections.planasonix.admin.plugins.module_utils._errors import (
    AnswerLost,
    ApiError,
    NoConnection,
    TimedOut,
)
from ansible_collections.planasonix.admin.plugins.module_utils._resource import (
    CONFIRMATION_PAUSES,
    Write,
    create_once,
)
from ansible_collections.planasonix.admin.plugins.module_utils._texts import one_line
from ansible_collections.planasonix.admin.plugins.module_utils._transport import Connection

NOW = 1_767_225_600.0
"""2026-01-01T00:00:00Z"""
LOOKS = 1 + len(CONFIRMATION_PAUSES)
"""How often an object is looked for after a lost answer."""


class Clock:
    """Time that passes by the client's pauses alone."""

    def __init__(self) -> None:
        self.pauses: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)

    def __call__(self) -> float:
        return NOW + sum(self.pauses)


def connect(url: str, clock: Clock, **options) -> Client:
    options = {"timeout": 5, **options}
    return Client(Connection(url, "plnx_live_key", **options), sleep=clock.sleep, clock=clock)


def call(client: Client, verb: str) -> object:
    """One request of the verb; ``POST*`` is a POST that sets a state."""
    if verb == "GET":
        return client.get("/api/thing", "read the thing")
    body = None if verb == "DELETE" else {"a": 1}
    return client.send(
        verb.rstrip("*"), "/api/thing", body, action="change the thing", repeatable=verb == "POST*"
    ).data


IDEMPOTENT = {"GET", "PUT", "DELETE", "POST*"}
REPEATED: dict[int | str, set[str]] = {
    429: {*IDEMPOTENT, "POST"},
    500: set(),
    **dict.fromkeys([408, 502, 503, 504, 520, 521, 522, 523, 524], IDEMPOTENT),
    DROP: IDEMPOTENT,
    TRUNCATE: IDEMPOTENT,
    HANG: IDEMPOTENT,
}
RULE = [
    (verb, failure, verb in verbs)
    for failure, verbs in REPEATED.items()
    for verb in ("GET", "PUT", "DELETE", "POST", "POST*")
]


@pytest.mark.parametrize(("verb", "failure", "again"), RULE)
def test_retry_rule(verb, failure, again):
    clock = Clock()
    step = (
        failure
        if isinstance(failure, str)
        else Answer(failure, {"error": {"code": "busy", "message": "Try later"}})
    )
    with (
        ScriptedServer(step) as server,
        connect(server.url, clock, timeout=0.2 if failure == HANG else 5) as client,
    ):
        if again:
            assert call(client, verb) == {"ok": True}
        else:
            with pytest.raises(ApiError) as caught:
                call(client, verb)
            # A POST that may have taken effect is for its caller to settle; a 500 is an answer.
            assert isinstance(caught.value, AnswerLost) is (failure != 500)
            assert caught.value.status == (failure if isinstance(failure, int) else None)
            assert not caught.value.did_nothing
        assert [request.method for request in server.requests] == [verb.rstrip("*")] * (
            2 if again else 1
        )
        assert len({request.body for request in server.requests}) == 1
        assert len(clock.pauses) == (1 if again else 0)


@pytest.mark.parametrize("verb", ["GET", "PUT", "POST"])
@pytest.mark.parametrize("late", [HANG, SLOW_BODY])
def test_an_answer_that_is_late_each_time(late, verb):
    clock = Clock()
    with (
        ScriptedServer(late, late, late) as server,
        connect(server.url, clock, timeout=0.2, retries=2) as client,
    ):
        with pytest.raises(ApiError, match="no whole answer") as caught:
            call(client, verb)
        assert (type(caught.value), len(server.requests)) == (
            (AnswerLost, 1) if verb == "POST" else (TimedOut, 3)
        )
        assert caught.value.affects_every_request is (verb != "POST")


@pytest.mark.parametrize(
    ("failure", "affects_every_request"),
    [
        (DROP, False),
        (TRUNCATE, False),
        (Answer(500), False),
        (Answer(403), False),
        (Answer(401), True),
    ],
)
def test_which_failures_befall_other_requests_too(failure, affects_every_request):
    with (
        ScriptedServer(failure) as server,
        connect(server.url, Clock(), retries=0) as client,
        pytest.raises(ApiError) as caught,
    ):
        call(client, "GET")
    assert caught.value.affects_every_request is affects_every_request


@pytest.mark.parametrize("verb", ["GET", "PUT", "DELETE", "POST", "POST*"])
def test_connection_never_established_is_retried_for_every_verb(verb):
    clock = Clock()
    with (
        connect(f"http://127.0.0.1:{closed_port()}", clock, retries=3) as client,
        pytest.raises(NoConnection, match=r"no connection to 127\.0\.0\.1:\d+ \(.*refused"),
    ):
        call(client, verb)
    assert len(clock.pauses) == 3


@pytest.mark.parametrize("verb", ["GET", "PUT", "DELETE", "POST", "POST*"])
def test_other_refusals_are_never_retried(verb):
    clock = Clock()
    for status in (400, 401, 403, 404, 405, 409, 413, 422, 501):
        with (
            ScriptedServer(Answer(status, {"code": "no", "message": "No"})) as server,
            connect(server.url, clock) as client,
        ):
            with pytest.raises(ApiError) as caught:
                call(client, verb)
            assert (caught.value.status, caught.value.code, len(server.requests), clock.pauses) == (
                status,
                "no",
                1,
                [],
            )
            assert not isinstance(caught.value, AnswerLost)


@pytest.mark.parametrize(
    ("verb", "script", "succeeds"),
    [
        pytest.param("DELETE", [Answer(404)], False, id="first-delete"),
        pytest.param("DELETE", [DROP, Answer(404)], True, id="delete-after-a-lost-answer"),
        pytest.param("DELETE", [Answer(502), Answer(404)], True, id="delete-after-502"),
        pytest.param("DELETE", [Answer(204)], True, id="delete"),
        pytest.param("DELETE", [Answer(200, "<html>gone</html>")], True, id="delete-with-a-page"),
        pytest.param("PUT", [DROP, Answer(404)], False, id="put-after-a-lost-answer"),
        pytest.param("GET", [Answer(502), Answer(404)], False, id="get-after-502"),
        pytest.param("POST*", [DROP, Answer(404)], False, id="post-after-a-lost-answer"),
    ],
)
def test_404(verb, script, succeeds):
    with ScriptedServer(*script) as server, connect(server.url, Clock()) as client:
        if succeeds:
            assert call(client, verb) is None
            assert client.wrote
        else:
            with pytest.raises(ApiError) as caught:
                call(client, verb)
            assert caught.value.status == 404
            assert not client.wrote


@pytest.mark.parametrize("verb", ["GET", "PUT", "DELETE", "POST*"])
def test_a_kept_connection_that_is_dropped_costs_one_repetition(verb):
    with ScriptedServer(once=True) as server, connect(server.url, Clock(), retries=1) as client:
        call(client, "GET")
        call(client, verb)
    assert [request.method for request in server.requests] == ["GET", verb.rstrip("*")]


def test_a_post_that_must_not_be_repeated_goes_over_a_fresh_connection():
    redirect = Answer(307, "", {"Location": "/moved"})
    with (
        ScriptedServer(Answer(), redirect, once=True) as server,
        connect(server.url, Clock(), retries=0) as client,
    ):
        call(client, "GET")
        assert call(client, "POST") == {"ok": True}
        assert call(client, "POST") == {"ok": True}
    assert [request.method for request in server.requests] == ["GET", "POST", "POST", "POST"]


def test_cookies_are_not_kept():
    """An API may take a request with a cookie for one of a browser, and ask for a token."""
    answer = Answer(200, {"data": {}}, {"Set-Cookie": "session=1; Path=/"})
    with ScriptedServer(answer) as server, connect(server.url, Clock()) as client:
        call(client, "GET")
        call(client, "PUT")
    assert [request.headers.get("Cookie") for request in server.requests] == [None, None]


def test_creating_once_over_connections_that_are_dropped():
    """Each look for the object opens a connection, which must not lose the next attempt."""
    empty = [Answer(200, [])] * LOOKS
    script = [Answer(), DROP, *empty, DROP, *empty, Answer(201, {"id": 7})]
    create = Write("POST", "/api/things", {"name": "x"}, "create the thing")
    with ScriptedServer(*script, once=True) as server:
        with connect(server.url, Clock(), retries=3) as client:
            call(client, "GET")
            find = functools.partial(client.get_list, "/api/things", "read the things")
            assert create_once(client, create, find, deletable=False) == {"id": 7}
    assert [request.method for request in server.requests].count("POST") == 3


def test_the_object_that_was_created_is_no_double_of_itself():
    """The answer may spell its id as a number, and the list as text."""
    script = [
        DROP,
        *[Answer(200, [])] * LOOKS,
        Answer(201, {"data": {"id": 7}}),
        Answer(200, [{"id": "7"}, {"id": "6"}]),
    ]
    create = Write("POST", "/api/things", {"name": "x"}, "create the thing")
    with ScriptedServer(*script) as server:
        with connect(server.url, Clock(), retries=3) as client:
            find = functools.partial(client.get_list, "/api/things", "read the things")
            assert create_once(client, create, find) == {"id": 7}
    deleted = [request.path for request in server.requests if request.method == "DELETE"]
    assert deleted == ["/api/things/6"]


HTTP_DATE = email.utils.formatdate(NOW + 7, usegmt=True)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        pytest.param({}, None, id="nothing"),
        pytest.param({"Retry-After": "7"}, 7.0, id="seconds"),
        pytest.param({"Retry-After": " 7 "}, 7.0, id="seconds-with-spaces"),
        pytest.param({"Retry-After": "0"}, 0.0, id="at-once"),
        pytest.param({"Retry-After": "1.5"}, 1.5, id="fraction"),
        pytest.param({"Retry-After": HTTP_DATE}, 7.0, id="date"),
        pytest.param(
            {"Retry-After": HTTP_DATE.replace("GMT", "-0000")}, 7.0, id="date-without-zone"
        ),
        pytest.param(
            {"Retry-After": email.utils.formatdate(NOW - 7, usegmt=True)},
            0.0,
            id="date-in-the-past",
        ),
        pytest.param({"Retry-After": "86400"}, 86400.0, id="a-day"),
        pytest.param({"Retry-After": "9" * 400}, float("inf"), id="absurd-seconds"),
        pytest.param({"Retry-After": "-7"}, None, id="negative"),
        pytest.param({"Retry-After": "soon"}, None, id="word"),
        pytest.param({"Retry-After": "1e3"}, None, id="exponent"),
        pytest.param({"Retry-After": "nan"}, None, id="nan"),
        pytest.param({"Retry-After": "Thu, 01 Jan 99999 00:00:00 GMT"}, None, id="absurd-year"),
        pytest.param(
            {"Retry-After": "Thu, 99999999999999999999 Jan 2026 00:00:00 GMT"},
            None,
            id="absurd-day",
        ),
        pytest.param(
            {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(NOW + 9)}, 9.0, id="reset"
        ),
        pytest.param(
            {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(int(NOW) - 9)},
            0.0,
            id="reset-in-the-past",
        ),
        pytest.param(
            {"X-RateLimit-Remaining": "3", "X-RateLimit-Reset": str(NOW + 9)},
            None,
            id="reset-with-requests-left",
        ),
        pytest.param(
            {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "later"}, None, id="garbage-reset"
        ),
        pytest.param(
            {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(int(NOW + 9) * 1000)},
            9.0,
            id="reset-in-milliseconds",
        ),
        pytest.param(
            {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "9"}, 9.0, id="reset-as-seconds"
        ),
        pytest.param({"Retry-After": str(int(NOW + 9))}, 9.0, id="unix-time"),
        pytest.param(
            {"Retry-After": "2", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(NOW + 9)},
            2.0,
            id="retry-after-wins",
        ),
        pytest.param(
            {
                "Retry-After": "soon",
                "X-RateLimit-Remaining": "0",
                "X-RateLimit-Reset": str(NOW + 9),
            },
            9.0,
            id="garbage-then-reset",
        ),
    ],
)
def test_retry_after(headers, seconds):
    assert read_retry_after(headers, NOW) == seconds


@pytest.mark.parametrize(
    ("options", "asked", "pauses"),
    [
        pytest.param({}, ["7"], [7.0], id="as-asked"),
        pytest.param({"retry_budget": 10}, ["7", "7", "7"], [7.0], id="more-than-is-left"),
        pytest.param({"retry_budget": 10}, ["99999"] * 3, [], id="absurd"),
        pytest.param({"retry_budget": 0}, ["1"], [], id="no-budget"),
        pytest.param({"retries": 2}, ["1"] * 3, [1.0, 1.0], id="retries-used-up"),
        pytest.param({"retries": 0}, ["1"], [], id="no-retries"),
        pytest.param({"retries": 4, "retry_budget": 10}, ["0"] * 5, [0.5, 1, 2, 4], id="at-once"),
    ],
)
def test_pauses_that_the_server_asks_for(options, asked, pauses, monkeypatch):
    monkeypatch.setattr("random.uniform", lambda low, high: low)
    clock = Clock()
    with (
        ScriptedServer(*(Answer(429, "", {"Retry-After": value}) for value in asked)) as server,
        connect(server.url, clock, **options) as client,
    ):
        if len(pauses) < len(asked):
            with pytest.raises(ApiError) as caught:
                call(client, "GET")
            assert caught.value.status == 429
        else:
            call(client, "GET")
        assert len(server.requests) == len(pauses) + 1
    assert clock.pauses == pauses


def test_pauses_grow_where_the_server_names_no_time():
    clock = Clock()
    with ScriptedServer(*[Answer(503, "")] * 5) as server, connect(server.url, clock) as client:
        call(client, "GET")
    assert all(
        low <= pause <= low * 1.25
        for low, pause in zip([0.5, 1, 2, 4, 8], clock.pauses, strict=True)
    )


def test_the_budget_is_that_of_the_whole_task():
    clock = Clock()
    with ScriptedServer(
        Answer(429, "", {"Retry-After": "6"}),
        Answer(),
        Answer(429, "", {"Retry-After": "6"}),
        Answer(429, ""),
    ) as server:
        with connect(server.url, clock, retry_budget=10) as client:
            call(client, "GET")
            with pytest.raises(ApiError):
                call(client, "GET")
    assert clock.pauses == [6.0]


@pytest.mark.parametrize(
    ("waits", "budget", "sentence"),
    [
        (("0.4",), 0, " The API asks to wait 1 s, and 0 s of retry_budget are left."),
        (("9.5", "0.9"), 10, " The API asks to wait 1 s, and 0 s of retry_budget are left."),
        (("5.5",), 5.4, " The API asks to wait 6 s, and 5 s of retry_budget are left."),
        (("0",), 0, None),
        (
            ("9" * 400,),
            60,
            " The API asks to wait 1000000000 s, and 60 s of retry_budget are left.",
        ),
    ],
)
def test_a_short_wait_that_the_budget_does_not_cover(waits, budget, sentence):
    answers = [Answer(429, "", {"Retry-After": wait}) for wait in waits]
    with (
        ScriptedServer(*answers) as server,
        connect(server.url, Clock(), retry_budget=budget) as client,
        pytest.raises(ApiError) as caught,
    ):
        call(client, "GET")
    assert len(server.requests) == len(waits)
    if sentence is None:
        assert "asks to wait" not in caught.value.message
        return
    assert caught.value.message.endswith(sentence)


def test_a_wait_that_the_budget_does_not_cover_is_said():
    clock = Clock()
    with (
        ScriptedServer(
            Answer(429, "", {"Retry-After": "20"}), Answer(429, "", {"Retry-After": "3600"})
        ) as server,
        connect(server.url, clock, retry_budget=60) as client,
        pytest.raises(ApiError) as caught,
    ):
        call(client, "GET")
    assert clock.pauses == [20.0]
    assert caught.value.message.endswith(
        " The API asks to wait 3600 s, and 40 s of retry_budget are left."
    )


@pytest.mark.parametrize(
    ("text", "content_type", "code", "message", "request_id"),
    [
        pytest.param(
            '{"error": {"code": "x", "message": "Why", "request_id": "r"}}',
            "application/json",
            "x",
            "Why",
            "r",
            id="nested",
        ),
        pytest.param(
            '{"error": {"code": "x", "message": "Why"}, "request_id": "r"}',
            "application/json",
            "x",
            "Why",
            "r",
            id="nested-id-at-the-top",
        ),
        pytest.param(
            '{"code": "x", "message": "Why"}', "application/json", "x", "Why", None, id="flat"
        ),
        pytest.param('{"error": "Why"}', "application/json", None, "Why", None, id="error-is-text"),
        pytest.param(
            '{"detail": "Not Found"}', "application/json", None, "Not Found", None, id="detail"
        ),
        pytest.param(
            '{"errors": [{"code": "x", "message": "Why"}]}',
            "application/json",
            "x",
            "Why",
            None,
            id="list-of-one-error",
        ),
        pytest.param(
            '{"errors": {"name": ["too long"]}}',
            "application/json",
            None,
            '{"name": ["too long"]}',
            None,
            id="errors-of-fields",
        ),
        pytest.param(
            '{"error": "invalid_token", "error_description": "Why"}',
            "application/json",
            None,
            "Why",
            None,
            id="oauth",
        ),
        pytest.param('\ufeff{"msg": "Why"}', "application/json", None, "Why", None, id="bom"),
        pytest.param(
            '{"detail": [{"loc": ["a"]}]}',
            "application/json",
            None,
            '[{"loc": ["a"]}]',
            None,
            id="detail-is-a-list",
        ),
        pytest.param(
            '{"code": 42, "message": "Why"}',
            "application/json",
            "42",
            "Why",
            None,
            id="code-is-a-number",
        ),
        pytest.param(
            '{"error": {"message": null}}',
            "application/json",
            None,
            "no reason given",
            None,
            id="null-message",
        ),
        pytest.param(
            '{"error": null}', "application/json", None, "no reason given", None, id="null-error"
        ),
        pytest.param("{}", "application/json", None, "no reason given", None, id="empty-object"),
        pytest.param("[]", "application/json", None, "[]", None, id="list"),
        pytest.param("null", "application/json", None, "null", None, id="null"),
        pytest.param("", "", None, "no reason given", None, id="empty"),
        pytest.param(
            "upstream\n timed   out", "text/plain", None, "upstream\n timed   out", None, id="text"
        ),
        pytest.param(
            '{"code": "x', "application/json", None, '{"code": "x', None, id="broken-json"
        ),
        pytest.param(
            "<html><TITLE>\n502 Bad Gateway</TITLE>",
            "text/html",
            None,
            "an HTML page titled '502 Bad Gateway', so a proxy or another server answered",
            None,
            id="html",
        ),
        pytest.param(
            "<p>no</p>",
            "text/HTML; charset=x",
            None,
            "an HTML page, so a proxy or another server answered",
            None,
            id="html-without-title",
        ),
    ],
)
def test_parse_error(text, content_type, code, message, request_id):
    assert parse_error(content_type, text) == Reason(code, message, request_id)


def test_one_line():
    assert one_line(" a \n b ") == "a b"
    assert (len(one_line("x" * 500)), one_line("x" * 500)[-4:]) == (200, "x...")


@pytest.mark.parametrize(
    ("answer", "details"),
    [
        pytest.param(
            Answer(403, {"error": {"code": "no", "message": "No", "request_id": "r1"}}),
            {"status": 403, "code": "no", "request_id": "r1"},
            id="body",
        ),
        pytest.param(
            Answer(403, {"message": "No"}, {"X-Request-Id": "r2"}),
            {"status": 403, "request_id": "r2"},
            id="header",
        ),
        pytest.param(
            Answer(403, "<html>", {"Content-Type": "text/html"}), {"status": 403}, id="html"
        ),
    ],
)
def test_error_details(answer, details):
    with (
        ScriptedServer(answer) as server,
        connect(server.url, Clock()) as client,
        pytest.raises(ApiError) as caught,
    ):
        client.get("/api/thing", "read the thing")
    assert caught.value.details == {**details, "method": "GET", "path": "/api/thing"}
    assert caught.value.message.startswith(
        "Could not read the thing: GET /api/thing answered 403 ("
    )


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        pytest.param(Answer(200, {}), "lacks the documented key 'data'", id="no-data"),
        pytest.param(Answer(200, {"data": None}), "not the documented object", id="null-data"),
        pytest.param(Answer(200, {"data": [1]}), "not the documented object", id="list-data"),
        pytest.param(Answer(204), "lacks the documented key 'data'", id="no-body"),
        pytest.param(Answer(200, "[]"), "without the documented JSON", id="list"),
        pytest.param(Answer(200, "<title>Login</title>"), "an HTML page titled 'Login'", id="html"),
        pytest.param(Answer(200, b"\xff\xfe{"), "without the documented JSON", id="not-utf-8"),
    ],
)
def test_answers_of_another_shape(answer, message):
    with (
        ScriptedServer(answer) as server,
        connect(server.url, Clock()) as client,
        pytest.raises(ApiError, match=message),
    ):
        client.get("/api/thing", "read the thing")


@pytest.mark.parametrize("verb", ["PUT", "DELETE", "POST", "POST*"])
@pytest.mark.parametrize(
    ("answer", "data"),
    [
        pytest.param(Answer(204), None, id="no-content"),
        pytest.param(Answer(200, ""), None, id="empty"),
        pytest.param(Answer(200, {}), None, id="empty-object"),
        pytest.param(Answer(200, "null"), None, id="null"),
        pytest.param(Answer(200, '"OK"'), None, id="json-text"),
        pytest.param(Answer(200, "true"), None, id="true"),
        pytest.param(Answer(200, []), None, id="list"),
        pytest.param(Answer(200, "OK", {"Content-Type": "text/plain"}), None, id="text"),
        pytest.param(Answer(200, b"\xff\xfe"), None, id="bytes"),
        pytest.param(Answer(200, {"data": None}), None, id="null-data"),
        pytest.param(Answer(200, {"message": "Updated"}), None, id="message"),
        pytest.param(Answer(200, {"error": "x", "id": 7}), None, id="error"),
        pytest.param(Answer(200, {"success": True}), None, id="success"),
        pytest.param(Answer(200, {"id": 7, "name": "x"}), {"id": 7, "name": "x"}, id="bare"),
        pytest.param(Answer(201, {"data": {"id": 7}}), {"id": 7}, id="documented"),
        pytest.param(Answer(202, {"data": {"id": 7}}), {"id": 7}, id="accepted"),
    ],
)
def test_what_a_success_says_of_a_write(answer, data, verb):
    """Any success may have been applied. Where it says nothing of use, reading decides."""
    with ScriptedServer(answer) as server, connect(server.url, Clock()) as client:
        assert call(client, verb) == data
        assert client.wrote and len(server.requests) == 1


@pytest.mark.parametrize("verb", ["PUT", "POST", "POST*"])
def test_the_page_of_a_proxy_is_no_success_of_a_write(verb):
    answer = Answer(200, "<title>Login</title>", {"Content-Type": "text/html"})
    with ScriptedServer(answer) as server, connect(server.url, Clock()) as client:
        with pytest.raises(ApiError, match="an HTML page titled 'Login'") as caught:
            call(client, verb)
        assert not caught.value.did_nothing and not client.wrote


@pytest.mark.parametrize(
    ("answer", "proves"),
    [
        (Answer(204), True),
        (Answer(200, ""), True),
        (Answer(200, {}), True),
        (Answer(200, {"data": {"a": 1}}), True),
        (Answer(200, {"id": 7}), False),
        (Answer(200, {"message": "Changed"}), False),
        (Answer(200, "OK"), False),
        (Answer(200, "null"), False),
        (Answer(200, []), False),
    ],
    ids=str,
)
def test_whether_an_answer_proves_the_write(answer, proves):
    with ScriptedServer(answer) as server, connect(server.url, Clock()) as client:
        flaw = client.send("POST", "/api/x", action="change").flaw
        assert (flaw is None) is proves
        assert flaw is None or not flaw.did_nothing


@pytest.mark.parametrize(
    ("body", "data"),
    [
        ({"idle_timeout_minutes": 60}, {"idle_timeout_minutes": 60}),
        ({"data": {"a": 1}, "meta": {}}, {"a": 1}),
        ({"data": {}}, {}),
        ({"error": "x"}, None),
        ({"errors": []}, None),
        ({"key": "digest", "value": "weekly"}, {"key": "digest", "value": "weekly"}),
        ({"result": "ok"}, None),
        ({"canvas.snap_to_grid": True}, None),
        ({"message": "Maintenance", "tier": "x"}, None),
        ({"success": True, "result": {}}, None),
        ({}, None),
    ],
    ids=str,
)
def test_an_object_without_data(body, data):
    with ScriptedServer(Answer(200, body)) as server, connect(server.url, Clock()) as client:
        if data is not None:
            assert call(client, "GET") == data
        else:
            with pytest.raises(ApiError, match="lacks the documented key 'data'"):
                call(client, "GET")


def pages(*cursors, items=lambda number: [{"id": number}]):
    return [
        Answer(200, {"data": items(number), "meta": {"next_cursor": cursor}})
        for number, cursor in enumerate(cursors)
    ]


@pytest.mark.parametrize(
    ("script", "ids", "queries"),
    [
        pytest.param([Answer(200, {"data": [{"id": 0}]})], [0], [""], id="no-meta"),
        pytest.param([Answer(200, {"data": [{"id": 0}], "meta": []})], [0], [""], id="odd-meta"),
        pytest.param(pages(None), [0], [""], id="null-cursor"),
        pytest.param(pages(""), [0], [""], id="empty-cursor"),
        pytest.param(
            pages("b", "c", None),
            [0, 1, 2],
            ["", "cursor=b", "cursor=c"],
            id="three-pages",
        ),
        pytest.param(pages(17, None), [0, 1], ["", "cursor=17"], id="number-cursor"),
        pytest.param(
            pages("a&b=/?", None),
            [0, 1],
            ["", "cursor=a%26b%3D%2F%3F"],
            id="quoted-cursor",
        ),
        pytest.param(
            pages("b", None, items=lambda number: []),
            [],
            ["", "cursor=b"],
            id="empty-pages",
        ),
        pytest.param(
            [*pages("b"), Answer(429, "", {"Retry-After": "0"}), *pages(None)],
            [0],
            [""] + ["cursor=b"] * 2,
            id="retry-of-a-page",
        ),
    ],
)
def test_paging(script, ids, queries):
    with ScriptedServer(*script) as server, connect(server.url, Clock()) as client:
        assert [item["id"] for item in client.get_list("/api/things", "read the things")] == ids
        assert [request.path for request in server.requests] == [
            f"/api/things{query and '?'}{query}" for query in queries
        ]


@pytest.mark.parametrize(
    "cursors", [("b", "b"), ("b", "c", "b"), (1, "1")], ids=["same", "circle", "number-and-text"]
)
def test_cursors_that_do_not_advance(cursors):
    with ScriptedServer(*pages(*cursors)) as server, connect(server.url, Clock()) as client:
        with pytest.raises(ApiError, match="the pages of GET /api/things do not end"):
            client.get_list("/api/things", "read the things")
        assert len(server.requests) == len(cursors)


def test_cursors_without_end(monkeypatch):
    monkeypatch.setattr(_paging, "MAXIMUM_PAGES", 3)
    with (
        ScriptedServer(*pages("b", "c", "d", "e", "f")) as server,
        connect(server.url, Clock()) as client,
    ):
        with pytest.raises(ApiError, match="do not end"):
            client.get_list("/api/things", "read the things")
        assert len(server.requests) == 4


@pytest.mark.parametrize(
    "data",
    [{}, False, 0, "", "x", [1], [{"id": 1}, "x"]],
    ids=["object", "false", "zero", "empty", "text", "numbers", "mixed"],
)
def test_lists_of_another_shape(data):
    with (
        ScriptedServer(Answer(200, {"data": data})) as server,
        connect(server.url, Clock()) as client,
    ):
        with pytest.raises(ApiError, match="not the documented list of objects"):
            client.get_list("/api/things", "read the things")
