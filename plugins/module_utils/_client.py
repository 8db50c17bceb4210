# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The HTTP side of the Planasonix admin API: one session, and the retry rule.

Knows no Ansible and no plan.

This file is private to the collection; it can change at any time.
"""

from __future__ import annotations

import datetime
import math
import random
import re
import time
import traceback
import typing as t
from dataclasses import dataclass
from http.cookiejar import DefaultCookiePolicy
from urllib.parse import urlsplit

from ansible_collections.planasonix.admin.plugins.module_utils import _answers, _transport
from ansible_collections.planasonix.admin.plugins.module_utils._errors import (
    AnswerLost,
    ApiError,
    TimedOut,
)
from ansible_collections.planasonix.admin.plugins.module_utils._paging import (
    IncompleteList,
    Pages,
    Query,
)
from ansible_collections.planasonix.admin.plugins.module_utils._texts import Halves, Secrets

REQUESTS_IMPORT_ERROR: str | None = None
try:
    import requests
    import urllib3
except ImportError:
    REQUESTS_IMPORT_ERROR = traceback.format_exc()

MAXIMUM_REDIRECTS = 5
LIST_DEADLINES = 10
"""How many times the deadline all pages of a list may take together."""
FIRST_PAUSE = 0.5
"""Seconds before the second attempt; doubled for each further one."""

MAXIMUM_WAIT = 1_000_000_000
"""The most seconds that a message names; an API may ask for an infinite number."""

# Verbs that may be sent again although an earlier attempt may have taken effect. POST is not one of
# them, but two documented POSTs set a state and are sent with repeatable=True.
REPEATABLE_METHODS = frozenset({"GET", "PUT", "DELETE"})
UNCLEAR = frozenset({408, 502, 503, 504, 520, 521, 522, 523, 524})
"""Statuses after which the request may have taken effect or not; 520 to 524 are Cloudflare's."""

HINTS = {
    401: (
        "check api_key (or PLANASONIX_API_KEY): "
        "it is missing a part, revoked, expired or belongs to another api_url"
    ),
    403: (
        "the key lacks the needed scope, "
        "or the organization's IP allowlist does not cover this host"
    ),
    404: "check the id, and that api_url has the path prefix of your deployment",
    429: "the rate limit holds on; run again later or raise retry_budget",
    500: "the API itself failed; look at the state before you run again",
}


@dataclass(frozen=True)
class Reply:
    """What the API answered to an accepted write.

    :param data: ``data`` of the answer, or ``None`` where there is none: then reading decides.
    :param flaw: The error that says how the answer differs from the documented one, which is empty
        or an object with ``data``. Where no reading can confirm the write, it proves nothing.
    """

    data: t.Any = None
    flaw: ApiError | None = None


class Client:
    """One session with the API, kept alive for a whole task.

    :param connection: Where and how.
    :param read_only: Whether any request but GET is a programming error (check mode).
    :param secrets: Texts to keep out of error messages, as the API could quote them. The key is
        one without being named.
    :param sleep: Called with seconds to wait.
    :param clock: Gives the Unix time.
    :ivar wrote: Whether a write was answered with success, so that it may have changed something.
    :ivar secrets: Those texts, and the secrets that the API made meanwhile.
    """

    def __init__(
        self,
        connection: _transport.Connection,
        *,
        read_only: bool = False,
        secrets: t.Iterable[str] = (),
        sleep: t.Callable[[float], None] = time.sleep,
        clock: t.Callable[[], float] = time.time,
    ) -> None:
        self.connection = connection
        self.read_only = read_only
        self.secrets = Secrets((connection.key, *secrets))
        self.sleep = sleep
        self.clock = clock
        self.waited = 0.0
        self.wrote = False
        self.halves = Halves()
        self.base = connection.url.rstrip("/")
        self.host = urlsplit(self.base).netloc
        self.session = _transport.Session()
        # A server that sets a cookie could take the task for a browser's session.
        self.session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=()))
        self.session.headers.update(
            {
                "Accept": "application/json",
                "Accept-Encoding": "gzip, deflate",
                "User-Agent": "ansible-collection-planasonix.admin",
                "Authorization": f"Bearer {connection.key}",
            }
        )
        self._use_environment()
        if not connection.validate_certs:
            urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)

    def _use_environment(self) -> None:
        """Take proxies and certificate authorities from the environment.

        Authorities count where validate_certs and ca_path say nothing. The environment is read
        once, not for each request, and a .netrc, which would replace the Bearer header, never.
        Plain http:// is for this machine only, and a proxy would get the key unencrypted.
        """
        verify: bool | str = self.connection.ca_path or True
        if not self.connection.validate_certs:
            verify = False
        environment = self.session.merge_environment_settings(self.base, {}, None, verify, None)
        self.session.trust_env = False
        self.session.verify = environment["verify"]
        if urlsplit(self.base).scheme == "http":
            self.session.mount("http://", _transport.TimedAdapter())
            return
        self.session.proxies.update(environment["proxies"])
        _transport.check_authorities(environment["verify"])
        proxies = map(str, environment["proxies"].values())
        trusting = _transport.make_adapter(environment["verify"], proxies)
        if trusting:
            self.session.verify = True
        self.session.mount("https://", trusting or _transport.TimedAdapter())

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *dummy: object) -> None:
        self.session.close()

    def get(self, path: str, action: str) -> dict[str, t.Any]:
        """Read ``data``, an object, of a documented GET.

        :param path: Documented path, from ``/api`` on.
        :param action: What is being done, for messages: "read the settings".
        :raises ApiError: if it cannot be read, or the answer has another shape.
        """
        request = _answers.Request("GET", path, action)
        answer = self._send(request)
        body = self._parse(answer, request)
        data = body if _answers.is_known_object(body) else self._data(body, answer, request)
        if not isinstance(data, dict):
            raise request.failure(f"the answer to GET {path} is not the documented object.")
        return data

    def get_list(self, path: str, action: str) -> list[dict[str, t.Any]]:
        """Read all pages of a documented list of objects, each id once, without ``updated_at``.

        :raises ApiError: as :meth:`get`, and if the list cannot be read to its end.
        """
        request = _answers.Request("GET", path, action)
        pages = Pages(f"GET {path}", self.base + path, self.secrets.quote)
        size = values = 0
        end = time.monotonic() + LIST_DEADLINES * self.connection.deadline
        query: Query | None = ()  # the documented request has no parameters
        while query is not None:
            if time.monotonic() > end:
                raise request.failure(
                    f"GET {path} is not complete after {LIST_DEADLINES} times the deadline of "
                    f"{self.connection.deadline:g} s; raise deadline if the list is that long.",
                    TimedOut,
                )
            answer = self._send(request, query)
            size += len(answer.content)
            values += _answers.count_values(answer.content)
            if size > _transport.MAXIMUM_LIST_SIZE or values > _answers.MAXIMUM_LIST_VALUES:
                raise request.failure(
                    f"GET {path} has more than {_answers.MAXIMUM_LIST_VALUES} values, or "
                    f"{_transport.MAXIMUM_LIST_SIZE // _transport.MEBIBYTE} MiB."
                )
            body = self._parse(answer, request, _answers.MAXIMUM_LIST_VALUES)
            page = body if isinstance(body, list) else self._data(body, answer, request)
            if page is None:  # as some languages write an empty list
                page = []
            if not isinstance(page, list) or not all(isinstance(item, dict) for item in page):
                raise request.failure(
                    f"the answer to GET {path} is not the documented list of objects."
                )
            envelope = {}
            if isinstance(body, dict):
                envelope = {name: value for name, value in body.items() if name != "data"}
            try:
                query = pages.add(page, envelope, answer.status, answer.headers)
            except IncompleteList as error:
                raise request.failure(f"{error}.") from None
        return pages.objects

    def send(
        self,
        method: str,
        path: str,
        body: t.Any = None,
        *,
        action: str,
        repeatable: bool = False,
        changes: bool = True,
    ) -> Reply:
        """Send one write.

        :param body: JSON body, or ``None`` for none.
        :param changes: Whether it changes the organization.
        :param repeatable: Whether a POST sets a state, so that sending it twice does no harm.
        :raises AnswerLost: if it is not known whether the write took effect and repeating it could
            do it twice.
        :raises ApiError: if the API refused it.
        """
        if self.read_only:
            raise RuntimeError(f"{method} {path} in check mode")
        body = self.halves.write(body)
        request = _answers.Request(
            method, path, action, body, repeatable or method in REPEATABLE_METHODS
        )
        answer = self._send(request)
        reply = Reply() if answer.status == 404 else self._read_reply(answer, request)
        self.wrote = self.wrote or changes
        return reply

    def now(self) -> datetime.datetime:
        """Return the time, in UTC."""
        return datetime.datetime.fromtimestamp(self.clock(), datetime.timezone.utc)

    def pause(self, attempt: int, asked: float | None = None) -> bool:
        """Wait before another attempt, within the retry budget.

        :param attempt: How many attempts were made.
        :param asked: Seconds that the server asked for.
        :returns: Whether another attempt may be made. There is none if the server asks for more
            seconds than are left.
        """
        left = self.budget_left()
        if attempt > self.connection.retries or left <= 0 or (asked or 0) > left:
            return False
        own = FIRST_PAUSE * 2 ** (attempt - 1) * random.uniform(1, 1.25)
        pause = min(max(own, asked or 0), left)
        self.sleep(pause)
        self.waited += pause
        return True

    def wait(self, seconds: float) -> bool:
        """Wait for a write to show, if the retry budget has room for it.

        :returns: Whether there was room.
        """
        if seconds > self.budget_left():
            return False
        self.sleep(seconds)
        self.waited += seconds
        return True

    def budget_left(self) -> float:
        """Return how many seconds of the retry budget are left."""
        return self.connection.retry_budget - self.waited

    def _send(self, request: _answers.Request, query: Query = ()) -> _transport.Answer:
        """Send a request as often as the retry rule allows.

        :returns: The answer of a success, or the 404 of a DELETE after an earlier attempt, which
            may have deleted the object.
        """
        attempt = 0
        while True:
            attempt += 1
            asked = None
            try:
                answer = self._exchange(request, query)
            # requests raises a bare OSError for a ca_path that does not exist, and lets some
            # errors of urllib3 through.
            except (OSError, urllib3.exceptions.HTTPError) as exception:
                proxy = requests.utils.select_proxy(self.base, self.session.proxies)
                failure = _answers.explain(exception, request, self.host, proxy, self.secrets.quote)
                error, retry = failure.error, failure.retry
                error.answered = False
                if isinstance(exception, _transport.PastDeadline):
                    # Who waited for so long does not wait as long again, nor for its repetition.
                    self.waited += self.connection.deadline
            else:
                if 200 <= answer.status < 300:
                    return answer
                if answer.status == 404 and request.method == "DELETE" and attempt > 1:
                    return answer
                error = self._refusal(answer, request)
                retry = answer.status == 429 or (answer.status in UNCLEAR and request.repeatable)
                asked = _answers.read_retry_after(answer.headers, self.clock())
            if retry and asked and asked > self.budget_left():
                left = int(max(0, self.budget_left()))
                error.message += (
                    f" The API asks to wait {math.ceil(min(asked, MAXIMUM_WAIT))} s, "
                    f"and {left} s of retry_budget are left."
                )
            if not retry or not self.pause(attempt, asked):
                raise error

    def _exchange(self, request: _answers.Request, query: Query) -> _transport.Answer:
        """Exchange a request and its answer, and follow the redirects within the same origin.

        Any other redirect is returned as the answer, so that the key goes nowhere else.
        """
        url = self.base + request.path
        with _transport.deadline(self.connection.deadline) as seconds_left:
            for _number in range(MAXIMUM_REDIRECTS):
                if not request.repeatable:
                    # A connection that the server closes while it is idle would lose the request.
                    self.session.close()
                response = self.session.request(
                    request.method,
                    url,
                    json=request.body,
                    params=list(query),
                    timeout=min(self.connection.timeout, seconds_left()),
                    allow_redirects=False,
                    stream=True,
                )
                answer = _transport.read_answer(response)
                location = answer.headers.get("Location")
                followed = (301, 302, 303, 307, 308) if request.method == "GET" else (307, 308)
                if answer.status not in followed or not location:
                    break
                target = _transport.resolve(url, location)
                if not target.same_origin:
                    break
                url, query = target.url, ()
        return answer

    def _refusal(self, answer: _transport.Answer, request: _answers.Request) -> ApiError:
        """Build the error for an answer that is no success."""
        status = answer.status
        reason = _answers.parse_error(answer.headers.get("Content-Type", ""), answer.text)
        request_id = reason.request_id or answer.headers.get("X-Request-Id")
        code = reason.code and self.secrets.quote(reason.code, 60)
        details: dict[str, t.Any] = {
            "status": status,
            "code": code,
            "request_id": request_id and self.secrets.quote(request_id, 100),
        }
        what = f"{request.method} {request.path}"
        if 300 <= status < 400:
            target = _transport.resolve(
                self.base + request.path, answer.headers.get("Location", "")
            )
            return request.failure(
                f"{what} is redirected to {self.secrets.quote(target.shown)}, which is not "
                "followed; set api_url to the address that answers itself.",
                **details,
            )
        message = self.secrets.quote(reason.message)
        words = f"{code}: {message}" if code else message
        hint = self._hint(status, code, request)
        text = f"{what} answered {status} ({words}){f'; {hint}' if hint else ''}."
        if status in UNCLEAR:
            return request.unclear(text, **details)
        return request.failure(text, **details)

    @staticmethod
    def _hint(status: int, code: str | None, request: _answers.Request) -> str | None:
        """Say what to do about a refusal."""
        if status in (401, 403) and re.search("password|code|otp|mfa", code or "", re.IGNORECASE):
            return None  # it is not the key
        if status == 500 and request.method == "GET":
            return "the API itself failed"
        if status in UNCLEAR and request.repeatable:
            return "try again later"
        return HINTS.get(status)

    def _parse(
        self,
        answer: _transport.Answer,
        request: _answers.Request,
        most: int = _answers.MAXIMUM_VALUES,
    ) -> t.Any:
        """Parse the JSON of a success; ``None`` for an empty body.

        :param most: How many values there may be.

        :raises ApiError: if there is a body that is no JSON.
        """
        if not answer.content:
            return None
        try:
            return self._decode(answer, most)
        except ValueError:
            raise self._not_documented(answer, request) from None

    def _decode(self, answer: _transport.Answer, most: int = _answers.MAXIMUM_VALUES) -> t.Any:
        """Return the JSON of an answer, with half characters spelled out.

        :raises ValueError: if it is no JSON.
        """
        body = _answers.parse_json(answer.content, most)
        return self.halves.read(body) if b"\\u" in answer.content else body

    def _read_reply(self, answer: _transport.Answer, request: _answers.Request) -> Reply:
        """Read the answer to an accepted write.

        :raises ApiError: for the page of a proxy.
        """
        if not answer.content:
            return Reply()
        try:
            body = self._decode(answer)
        except ValueError:
            if request.method != "DELETE" and self._page(answer):
                raise self._not_documented(answer, request) from None
            body = None
        if not isinstance(body, dict):
            return Reply(None, self._not_documented(answer, request))
        if not body or "data" in body:
            return Reply(body.get("data"))
        what = f"{request.method} {request.path}"
        flaw = request.failure(f"the answer to {what} is not the documented one.", AnswerLost)
        return Reply(body if _answers.is_bare_object(body) else None, flaw)

    @staticmethod
    def _page(answer: _transport.Answer) -> str | None:
        """Describe the HTML page that an answer is."""
        return _answers.describe_page(answer.headers.get("Content-Type", ""), answer.text)

    def _not_documented(self, answer: _transport.Answer, request: _answers.Request) -> ApiError:
        """Build the error for a success of another shape.

        It quotes only the title of a page: elsewhere there could be a secret that is new.
        """
        page = self._page(answer)
        request_id = answer.headers.get("X-Request-Id")
        return request.failure(
            f"{request.method} {request.path} answered {answer.status} without the documented JSON"
            f"{f' ({self.secrets.quote(page)})' if page else ''}; check api_url.",
            status=answer.status,
            request_id=request_id and self.secrets.quote(request_id, 100),
        )

    def _data(self, body: t.Any, answer: _transport.Answer, request: _answers.Request) -> t.Any:
        """Return ``data`` of a parsed body.

        :raises ApiError: if there is none.
        """
        if body is not None and not isinstance(body, dict):
            raise self._not_documented(answer, request)
        if body is None or "data" not in body:
            raise request.failure(
                f"the answer to GET {request.path} lacks the documented key 'data'; check api_url."
            )
        return body["data"]
