# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A secret that an API just made, and quotes in whatever it answers next, is in no text."""

from __future__ import annotations

import html
import json
import tracemalloc
import typing as t
from pathlib import Path
from urllib.parse import quote

import pytest
from unit.plugins.fake_api import TOTP_SECRET
from unit.plugins.scripted_server import Answer, Drip, ScriptedServer

from ansible_collections.planasonix.admin.plugins.module_utils import _runner
from ansible_collections.planasonix.admin.plugins.module_utils._client import Client
from ansible_collections.planasonix.admin.plugins.module_utils._errors import ApiError
from ansible_collections.planasonix.admin.plugins.module_utils._texts import Secrets
from ansible_collections.planasonix.admin.plugins.module_utils._transport import Connection
from ansible_collections.planasonix.admin.plugins.modules.planasonix_api_key import (
    MODULE as API_KEY,
)
from ansible_collections.planasonix.admin.plugins.modules.planasonix_mfa import MODULE as MFA

KEY = "plnx_live_key"
SECRET = "sk7part'0\"1\\2&3<4/5 6é7"
"""With characters that each format escapes in another way."""
PART = "sk7part"
SCOPES = ["a:read"]
MADE = {
    "id": "key_new",
    "name": "Deploy",
    "prefix": "sk",
    "scopes": SCOPES,
    "created_at": "2026-01-01T00:00:00Z",
    "expires_at": None,
}
QUOTED = json.dumps({"input": SECRET})
RAW = quote(SECRET, safe="")

ERRORS: dict[str, t.Any] = {
    "message": Answer(403, {"message": f"{SECRET} is too new"}),
    "code": Answer(403, {"code": SECRET, "message": "no"}),
    "request-id": Answer(403, {"message": "no", "request_id": SECRET}),
    "request-id-of-a-header": Answer(403, {}, {"X-Request-Id": RAW}),
    "json-in-text": Answer(403, {"message": QUOTED}),
    "python-in-text": Answer(403, {"message": repr({"input": SECRET})}),
    "html-in-text": Answer(403, {"message": html.escape(SECRET)}),
    "text": Answer(403, SECRET.encode(), {"Content-Type": "text/plain"}),
    "page": Answer(
        403, f"<title>{html.escape(SECRET)}</title>".encode(), {"Content-Type": "text/html"}
    ),
    "page-of-a-success": Answer(
        200, f"<title>{html.escape(SECRET)}</title>".encode(), {"Content-Type": "text/html"}
    ),
    "cut-in-the-middle": Answer(403, {"message": "x" * 190 + SECRET}),
    "location": Answer(302, "", {"Location": f"https://x.example.com/{RAW}"}),
    "location-cut-in-the-middle": Answer(
        302, "", {"Location": f"https://x.example.com/{'y' * 160}/{RAW}"}
    ),
    "location-that-is-no-url": Answer(302, "", {"Location": f"https://[{RAW}"}),
    "status-line": Drip(f"HTTP/1.1 {RAW} oh\r\n\r\n".encode(), b""),
    "no-status-line": Drip(f"{RAW}\r\n\r\n".encode(), b""),
    "cursor": Answer(200, {"data": [], "next": {"cursor_x": SECRET}, "has_more": True}),
    "next-page": Answer(200, {"data": [], "next": f"https://x.example.com/{RAW}?a=b"}),
    "field-of-the-key": Answer(200, {"data": [{**MADE, "scopes": 1, "name": SECRET}]}),
}
"""Answers to the read-back of a new key."""


def run(module: _runner.Module, server: ScriptedServer, **options: t.Any) -> dict[str, t.Any]:
    defaults = {name: item.get("default") for name, item in module.argument_spec().items()}
    connection = {"api_url": server.url, "api_key": KEY, "retry_budget": 0, "timeout": 5}
    return _runner.run(module, {**defaults, **connection, **options}, False)


def texts_of(result: dict[str, t.Any]) -> str:
    """All of a result but the keys whose display is censored."""
    shown = {name: value for name, value in result.items() if name != "secret"}
    return json.dumps(shown, ensure_ascii=False) + repr(shown)


@pytest.mark.parametrize("error", ERRORS.values(), ids=ERRORS)
def test_a_new_key_that_the_next_answer_quotes(error):
    created = Answer(201, {"data": {**MADE, "secret": SECRET}})
    listed = Answer(200, {"data": []})
    with ScriptedServer(listed, created, *[error] * 9) as server:
        result = run(API_KEY, server, name="Deploy", scopes=SCOPES)
        assert [request.method for request in server.requests[:3]] == ["GET", "POST", "GET"]
    assert (result["failed"], result["secret"]) == (True, SECRET)
    shown = texts_of(result)
    assert (
        PART not in shown and quote(PART, safe="") not in shown and html.escape(PART) not in shown
    )


def test_a_new_key_that_the_api_repeats_in_a_success():
    created = Answer(201, {"data": {**MADE, "secret": SECRET}})
    repeated = {**MADE, "note": f"it is {SECRET}", "more": [{"x": SECRET}]}
    script = [Answer(200, {"data": []}), created, Answer(200, {"data": [repeated]})]
    with ScriptedServer(*script) as server:
        result = run(API_KEY, server, name="Deploy", scopes=SCOPES)
    assert (result.get("failed"), result["secret"]) == (None, SECRET)
    assert result["api_key"]["note"] == "it is ********"
    assert PART not in texts_of(result)


def test_a_key_whose_answer_lacks_its_id_is_not_quoted_later():
    """Nothing was made that the task could use, and the API still knows the secret."""
    error = Answer(403, {"message": f"{SECRET} is too new"})
    script = [Answer(200, {"data": []}), Answer(201, {"data": {"secret": SECRET}}), error, error]
    with ScriptedServer(*script) as server:
        result = run(API_KEY, server, name="Deploy", scopes=SCOPES)
    assert result["failed"] and "******** is too new" in result["msg"]
    assert PART not in texts_of(result)


@pytest.mark.parametrize(
    "secret",
    ["plnx_live_01jq8fullsecretshownonce", "otpauth://totp/P:a%40b.c?secret=JBSW&issuer=P"],
)
@pytest.mark.parametrize("status", [400, 500, 504])
def test_a_secret_of_an_answer_that_has_no_other_sign(secret, status):
    """The API fails after it made the secret, and quotes it."""
    answer = Answer(status, {"error": {"code": "audit_failed", "message": f"made <{secret}>."}})
    with ScriptedServer(answer) as server:
        with Client(Connection(server.url, KEY, retries=0)) as client:
            with pytest.raises(ApiError, match=r"made <\*{8}>") as caught:
                client.send("POST", "/api/things", {}, action="create the thing")
    assert secret not in str(caught.value.__dict__)


@pytest.mark.parametrize(
    "value", ["'" * 4_000_000, [f"{number:'>400}" for number in range(10_000)]], ids=["one", "many"]
)
def test_a_secret_of_megabytes_takes_little_more_memory(value):
    """With all its spellings, it took 20 times its size, and a killed worker ends the play."""
    secrets = Secrets([KEY])
    tracemalloc.start()
    try:
        secrets.learn(value)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 10_000_000


def test_the_prefix_of_a_key_may_be_quoted():
    assert Secrets().quote("plnx_live_01jq is unknown") == "plnx_live_01jq is unknown"


@pytest.mark.parametrize("verified", [True, False], ids=["verified", "refused"])
def test_an_enrollment_that_the_next_answer_quotes(tmp_path: Path, verified: bool):
    uri, codes = f"otpauth://totp/P:a?secret={TOTP_SECRET}&issuer=P", ["1234-5678", "ab12-cd34"]
    enrollment = {"secret": TOTP_SECRET, "otpauth_uri": uri, "enrollment_id": "enr_1"}
    words = f"{TOTP_SECRET} {html.escape(uri)} {' '.join(codes)}"
    script = [Answer(200, {"data": {"enabled": False, "methods": []}})]
    script.append(Answer(200, {"data": enrollment}))
    if verified:
        script.append(Answer(200, {"data": {"enabled": True, "backup_codes": codes}}))
    with ScriptedServer(*script, *[Answer(403, {"message": words})] * 9) as server:
        result = run(MFA, server, state="enabled", secret_file=str(tmp_path / "mfa"))
    assert result["failed"]
    hidden = (TOTP_SECRET, *(codes if verified else ()))
    assert not any(text in texts_of(result) for text in hidden)


@pytest.mark.parametrize(
    "spell",
    [str, json.dumps, repr, html.escape, lambda text: quote(text, safe="")],
)
def test_each_spelling(spell):
    assert PART not in Secrets([SECRET]).quote(f"a {spell(SECRET)} b")
