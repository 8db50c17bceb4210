# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The HTTP side of the Planasonix admin API: one session, retries, error bodies and paging. Knows no Ansible and no plan.

This file is private to the collection; it can change at any time.
"""

from __future__ import annotations

import datetime
import email.utils
import errno
import html
import ipaddress
import json
import random
import re
import time
import traceback
import typing as t
from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit

from ansible_collections.planasonix.admin.plugins.module_utils._errors import (
    AnswerLost,
    ApiError,
    InvalidOption,
    NoConnection,
    TimedOut,
)
from ansible_collections.planasonix.admin.plugins.module_utils._tls import trusting_adapter

REQUESTS_IMPORT_ERROR: str | None = None
try:
    import requests
    import urllib3
except ImportError:
    REQUESTS_IMPORT_ERROR = traceback.format_exc()

PAGE_SIZE = 100
MAXIMUM_PAGES = 10_000
MAXIMUM_REDIRECTS = 5
LONGEST_WAIT = 86_400
"""Seconds that nobody waits longer than, and that clocks and sockets can count."""
FIRST_PAUSE = 0.5
"""Seconds before the second attempt, where the API names no time; doubled for each further one."""

# Verbs that may be sent again although an earlier attempt may have taken effect. POST is not one of them,
# but two documented POSTs set a state and are sent with repeatable=True.
REPEATABLE_METHODS = frozenset({"GET", "PUT", "DELETE"})
GATEWAY_FAILURES = frozenset({502, 503, 504})
NO_AGREEMENT = re.compile(
    "HANDSHAKE_FAILURE|PROTOCOL_VERSION|UNSUPPORTED_PROTOCOL|NO_SHARED_CIPHER|INSUFFICIENT_SECURITY",
    re.IGNORECASE,
)
"""What OpenSSL says where a handshake ends before anything is sent."""

HINTS = {
    401: "check api_key (or PLANASONIX_API_KEY): it is missing a part, revoked, expired or belongs to another api_url",
    403: "the key lacks the needed scope, or the organization's IP allowlist does not cover this host",
    404: "check the id, and that api_url has the path prefix of your deployment",
    429: "the rate limit holds on; run again later or raise retry_budget",
    500: "the API itself failed; look at the state before you run again",
}


@dataclass(frozen=True)
class Connection:
    """Where the API is, and how patiently to talk to it.

    :param url: Base URL, may end in a path prefix.
    :param key: API key, sent as a Bearer token.
    :param validate_certs: Whether the server's certificate is checked.
    :param ca_path: File or folder of certificate authorities to trust instead of the default ones.
    :param timeout: Seconds for one request.
    :param retries: How often one request is repeated at the most.
    :param retry_budget: Seconds that all pauses between attempts may take together.
    :raises InvalidOption: if the URL or the key cannot be used.
    """

    url: str
    key: str
    validate_certs: bool = True
    ca_path: str | None = None
    timeout: float = 30
    retries: int = 5
    retry_budget: float = 120

    def __post_init__(self) -> None:
        check_url(self.url)
        if not self.key:
            raise InvalidOption(
                "api_key is empty: set the option or the environment variable PLANASONIX_API_KEY."
            )
        if not re.fullmatch(r"[\x21-\x7e]+", self.key):
            raise InvalidOption(
                "api_key holds a space, a line break or another character that no API key has; is there a line break at its end?"
            )
        if not 0 < self.timeout <= LONGEST_WAIT:
            raise InvalidOption(
                f"timeout must be greater than 0 seconds, and at most {LONGEST_WAIT}."
            )
        if self.retries < 0 or not 0 <= self.retry_budget <= LONGEST_WAIT:
            raise InvalidOption(
                f"retries and retry_budget must not be negative, and retry_budget at most {LONGEST_WAIT} seconds."
            )


def check_url(url: str) -> None:
    """Refuse a base URL that would send the key in the clear or that is no base URL.

    :raises InvalidOption: with the reason.
    """
    try:
        parts = urlsplit(url)
        host, _port = parts.hostname, parts.port
    except ValueError:
        host = None
    if not host or parts.scheme not in ("http", "https"):
        raise InvalidOption(
            "api_url must be a URL such as https://api.planasonix.com, optionally with a path prefix."
        )
    if parts.username is not None or parts.password is not None:
        raise InvalidOption(
            "api_url must not hold a user name or password; the API key goes in api_key."
        )
    if "?" in url or "#" in url:
        raise InvalidOption("api_url must not have a query or a fragment; give the base URL alone.")
    if parts.scheme == "http" and not is_loopback(host):
        raise InvalidOption(
            f"api_url is plain http:// to {host}, which would send the API key unencrypted; use https://."
        )


def is_loopback(host: str) -> bool:
    """Whether the host, a name or an address, is this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def retry_after(headers: t.Mapping[str, str], now: float) -> float | None:
    """Seconds that the server asks to wait, or ``None`` where it names no usable time.

    Reads ``Retry-After`` in both forms (seconds, HTTP date), and ``X-RateLimit-Reset`` (Unix time) where no request remains.
    """
    value = headers.get("Retry-After", "").strip()
    if re.fullmatch(r"\d+(\.\d+)?", value):
        return float(value)
    if value:
        try:
            moment = email.utils.parsedate_to_datetime(value)
        except (TypeError, ValueError, OverflowError):
            moment = None
        if moment is not None:
            if moment.tzinfo is None:
                moment = moment.replace(tzinfo=datetime.timezone.utc)
            return max(0.0, moment.timestamp() - now)
    if headers.get("X-RateLimit-Remaining", "").strip() == "0" and re.fullmatch(
        r"\d+(\.\d+)?", headers.get("X-RateLimit-Reset", "").strip()
    ):
        return max(0.0, float(headers["X-RateLimit-Reset"]) - now)
    return None


def parse_error(content_type: str, text: str) -> tuple[str | None, str, str | None]:
    """Take (code, message, request id) from an error body.

    Understands the nested form ``{"error": {"code", "message"}}``, the flat form ``{"code", "message"}``, and the HTML of a proxy.
    """
    try:
        body = json.loads(text)
    except ValueError:
        body = None
    if isinstance(body, dict):
        inner = body.get("error")
        source = inner if isinstance(inner, dict) else body
        message = (
            source.get("message")
            or (inner if isinstance(inner, str) else None)
            or validation_errors(source.get("detail"))
            or "no reason given"
        )
        code = source.get("code")
        request_id = source.get("request_id") or body.get("request_id")
        return (
            None if code is None else str(code),
            message if isinstance(message, str) else json.dumps(message, ensure_ascii=False),
            None if request_id is None else str(request_id),
        )
    return None, html_page(content_type, text) or text.strip() or "no reason given", None


def html_page(content_type: str, text: str) -> str | None:
    """What to say of an HTML page; ``None`` if it is none."""
    title = re.search(r"<title[^>]*>(.*?)</title>", text, re.IGNORECASE | re.DOTALL)
    if not title and "html" not in content_type.lower():
        return None
    return f"an HTML page{f' titled {html.unescape(title[1]).strip()!r}' if title else ''}, so a proxy or another server answered"


def validation_errors(detail: t.Any) -> t.Any:
    """Errors of fields, as web frameworks list them, in words and without the values that they quote; anything else as it is."""
    if (
        isinstance(detail, list)
        and detail
        and all(isinstance(item, dict) and {"loc", "msg"} <= item.keys() for item in detail)
    ):
        return "; ".join(
            f"{'.'.join(map(str, item['loc'])) if isinstance(item['loc'], list) else item['loc']}: {item['msg']}"
            for item in detail
        )
    return detail


def spellings(secrets: t.Iterable[str]) -> list[str]:
    """Secrets as they may stand in an answer: in plain text, in JSON, in Python; longer ones first, since one may be a part of another."""
    plain = {secret for secret in secrets if secret}
    escaped = plain | {
        json.dumps(secret, ensure_ascii=ascii_only)[1:-1]
        for secret in plain
        for ascii_only in (True, False)
    }
    return sorted(escaped | {repr(secret)[1:-1] for secret in escaped}, key=len, reverse=True)


def squeeze(text: str, limit: int = 200) -> str:
    """The text on one line, shortened to the limit."""
    line = " ".join(text.split())
    return line if len(line) <= limit else line[: limit - 3] + "..."


class Client:
    """One session with the API, kept alive for a whole task.

    :param connection: Where and how.
    :param read_only: Whether any request but GET is a programming error (check mode).
    :param secrets: What is kept out of error messages, in which the API could quote it; the key always is.
    :param sleep: Called with seconds to wait.
    :param clock: Gives the Unix time.
    :ivar unsaved: What the API told once and is kept nowhere else yet, such as a new secret, by key of the result. A task that fails returns it.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        read_only: bool = False,
        secrets: t.Iterable[str] = (),
        sleep: t.Callable[[float], None] = time.sleep,
        clock: t.Callable[[], float] = time.time,
    ) -> None:
        self.connection = connection
        self.read_only = read_only
        self.secrets = (connection.key, *secrets)
        self.sleep = sleep
        self.clock = clock
        self.waited = 0.0
        self.wrote = False
        self.unsaved: dict[str, t.Any] = {}
        self.base = connection.url.rstrip("/")
        self.session = requests.Session()
        self.session.headers.update(
            {
                "Accept": "application/json",
                "User-Agent": "ansible-collection-planasonix.admin",
                "Authorization": f"Bearer {connection.key}",
            }
        )
        # From the environment come proxies and, where validate_certs and ca_path say nothing, certificate authorities. It is read once, not for each request,
        # and a .netrc, which would replace the Bearer header, never.
        verify: bool | str = (connection.ca_path or True) if connection.validate_certs else False
        environment = self.session.merge_environment_settings(self.base, {}, None, verify, None)
        self.session.trust_env = False
        self.session.proxies.update(environment["proxies"])
        self.session.verify = environment["verify"]
        proxies = map(str, environment["proxies"].values())
        trusting = (
            trusting_adapter(environment["verify"], proxies)
            if urlsplit(self.base).scheme == "https"
            else None
        )
        if trusting:
            self.session.mount("https://", trusting)
            self.session.verify = True
        if not connection.validate_certs:
            urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)

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
        data = self._data(self._request("GET", path, action), path, action)
        if not isinstance(data, dict):
            raise ApiError(
                f"Could not {action}: the answer to GET {path} is not the documented object.",
                method="GET",
                path=path,
            )
        return data

    def get_list(self, path: str, action: str) -> list[dict[str, t.Any]]:
        """Read all pages of a documented list of objects, without ``updated_at``.

        :raises ApiError: as :meth:`get`, and if a cursor does not advance.
        """
        items: list[dict[str, t.Any]] = []
        query: dict[
            str, t.Any
        ] = {}  # the documented request; only an API that pages its lists takes parameters
        seen: set[str] = set()
        while True:
            body = self._request("GET", path, action, query=query)
            page = self._data(body, path, action)
            if not isinstance(page, list) or not all(isinstance(item, dict) for item in page):
                raise ApiError(
                    f"Could not {action}: the answer to GET {path} is not the documented list of objects.",
                    method="GET",
                    path=path,
                )
            items.extend(
                {name: value for name, value in item.items() if name != "updated_at"}
                for item in page
            )
            meta = body.get("meta")
            cursor = meta.get("next_cursor") if isinstance(meta, dict) else None
            if cursor is None or cursor == "":
                return items
            if str(cursor) in seen or len(seen) >= MAXIMUM_PAGES:
                raise ApiError(
                    f"Could not {action}: the pages of GET {path} do not end; the last cursor was {squeeze(str(cursor), 60)!r}.",
                    method="GET",
                    path=path,
                )
            seen.add(str(cursor))
            query = {"limit": PAGE_SIZE, "cursor": cursor}

    def send(
        self,
        method: str,
        path: str,
        body: t.Any = None,
        *,
        action: str,
        repeatable: bool = False,
        changes: bool = True,
        answer_is_proof: bool = False,
    ) -> t.Any:
        """Send one write.

        :param body: JSON body, or ``None`` for none.
        :param changes: Whether it changes the organization.
        :param repeatable: Whether a POST sets a state, so that sending it twice does no harm.
        :param answer_is_proof: Whether no reading can confirm it, so that an answer of another shape, which may come from another server, proves nothing.
        :returns: ``data`` of the answer, or ``None`` where there is none.
        :raises AnswerLost: if it is not known whether the write took effect and repeating it could do it twice.
        :raises ApiError: if the API refused it.
        """
        if self.read_only:
            raise RuntimeError(f"{method} {path} in check mode")
        answer = self._request(method, path, action, body=body, repeatable=repeatable)
        if answer_is_proof and answer and "data" not in answer:
            raise AnswerLost(
                f"Could not {action}: the answer to {method} {path} is not the documented one.",
                method=method,
                path=path,
            )
        self.wrote = self.wrote or changes
        return answer.get("data") if isinstance(answer, dict) else None

    def pause(self, attempt: int, asked: float | None = None) -> bool:
        """Wait before another attempt, within the retry budget.

        :param attempt: How many attempts were made.
        :param asked: Seconds that the server asked for.
        :returns: Whether another attempt may be made.
        """
        left = self.connection.retry_budget - self.waited
        if attempt > self.connection.retries or left <= 0:
            return False
        pause = (
            FIRST_PAUSE * 2 ** (attempt - 1) * random.uniform(1, 1.25) if asked is None else asked
        )
        pause = min(pause, left)
        self.sleep(pause)
        self.waited += pause
        return True

    def wait(self, seconds: float) -> bool:
        """Wait for a write to show, if the retry budget has room for it.

        :returns: Whether there was room.
        """
        if self.waited + seconds > self.connection.retry_budget:
            return False
        self.sleep(seconds)
        self.waited += seconds
        return True

    def _request(
        self,
        method: str,
        path: str,
        action: str,
        *,
        body: t.Any = None,
        query: dict[str, t.Any] | None = None,
        repeatable: bool = False,
    ) -> t.Any:
        """Send one request as often as the retry rule allows, and return the decoded body of a success (``None`` where it has none)."""
        repeatable = repeatable or method in REPEATABLE_METHODS
        attempt = 0
        while True:
            attempt += 1
            try:
                response = self._exchange(method, self.base + path, body, query)
            except OSError as exception:  # RequestException is one, and requests raises a bare one for a ca_path that does not exist
                error, again = self._classify(exception, method, path, action, repeatable)
                asked = None
            else:
                if 200 <= response.status_code < 300:
                    return self._decode(response, method, path, action)
                if response.status_code == 404 and method == "DELETE" and attempt > 1:
                    return None
                error = self._refusal(response, method, path, action, repeatable)
                again = response.status_code == 429 or (
                    response.status_code in GATEWAY_FAILURES and repeatable
                )
                asked = retry_after(response.headers, self.clock())
            if not again or not self.pause(attempt, asked):
                raise error

    def _exchange(
        self, method: str, url: str, body: t.Any, query: dict[str, t.Any] | None
    ) -> requests.Response:
        """One exchange, with the redirects that stay at the same origin; any other is left as the answer, so that the key goes nowhere else."""
        for _number in range(MAXIMUM_REDIRECTS):
            response = self.session.request(
                method,
                url,
                json=body,
                params=query,
                timeout=self.connection.timeout,
                allow_redirects=False,
            )
            length = response.headers.get("Content-Length", "")
            # urllib3 before 2.0 does not notice a body that breaks off.
            if (
                length.isdigit()
                and "Content-Encoding" not in response.headers
                and len(response.content) < int(length)
            ):
                raise requests.exceptions.ChunkedEncodingError("the body of the answer broke off")
            location = response.headers.get("Location")
            followed = (301, 302, 303, 307, 308) if method == "GET" else (307, 308)
            if response.status_code not in followed or not location:
                break
            target = urljoin(url, location)
            if urlsplit(target)[:2] != urlsplit(url)[:2]:
                break
            url, query = target, None
        return response

    def _classify(
        self, exception: OSError, method: str, path: str, action: str, repeatable: bool
    ) -> tuple[ApiError, bool]:
        """Turn a failed exchange into an error, and say whether it may be tried again."""
        where = urlsplit(self.base).netloc
        details = {"method": method, "path": path}
        # Of a proxy also that its name is unknown, for which the system says "hostname".
        behind_proxy = isinstance(exception, requests.exceptions.ProxyError)
        words = "certificate" if behind_proxy else "certificate|hostname"
        if isinstance(
            exception, (requests.exceptions.SSLError, requests.exceptions.ProxyError)
        ) and re.search(words, str(exception), re.IGNORECASE):
            whose = f"the proxy before {where}" if behind_proxy else where
            return ApiError(
                f"Could not {action}: the TLS certificate of {whose} cannot be trusted ({reason_of(exception)}); "
                "set ca_path to the authority that signed it, or correct api_url.",
                **details,
            ), False
        if isinstance(exception, requests.exceptions.SSLError) and "WRONG_VERSION_NUMBER" in str(
            exception
        ).upper().replace(" ", "_"):
            return ApiError(
                f"Could not {action}: {where} does not speak TLS; correct the port or the scheme of api_url.",
                **details,
            ), False
        if isinstance(exception, requests.exceptions.SSLError) and NO_AGREEMENT.search(
            str(exception)
        ):
            return ApiError(
                f"Could not {action}: {where} and this host agree on no version of TLS, or no cipher ({reason_of(exception)}); "
                "correct api_url, or update the older of them.",
                **details,
            ), False
        # requests and urllib3 take it for a failure of TLS, or for a connection that broke off.
        innermost = getattr(cause_of(exception), "args", ())[-1:]
        if (
            innermost
            and isinstance(innermost[0], PermissionError)
            and innermost[0].errno == errno.EACCES
        ):
            return ApiError(
                f"Could not {action}: the file of ca_path, or of the environment's authorities, cannot be read; give it to this user.",
                **details,
            ), False
        if never_connected(exception):
            return NoConnection(
                f"Could not {action}: no connection to {where} ({reason_of(exception)}); check api_url, the network and proxy variables.",
                **details,
            ), True
        if isinstance(
            exception,
            (
                requests.exceptions.ConnectionError,
                requests.exceptions.Timeout,
                requests.exceptions.ChunkedEncodingError,
            ),
        ):
            # urllib3's error is inside where the body is what takes too long.
            late = isinstance(exception, requests.exceptions.Timeout) or isinstance(
                root_of(exception), urllib3.exceptions.ReadTimeoutError
            )
            kind = AnswerLost if not repeatable else TimedOut if late else ApiError
            doubt = "" if method == "GET" else ", so it may have taken effect or not"
            return kind(
                f"Could not {action}: {where} gave no whole answer to {method} {path} ({reason_of(exception)}){doubt}.",
                **details,
            ), repeatable
        if isinstance(exception, requests.exceptions.ContentDecodingError):
            return ApiError(
                f"Could not {action}: the answer to {method} {path} cannot be decoded.", **details
            ), False
        return ApiError(
            f"Could not {action}: {type(exception).__name__} for {where}; check api_url and ca_path.",
            **details,
        ), False

    def _refusal(
        self, response: requests.Response, method: str, path: str, action: str, repeatable: bool
    ) -> ApiError:
        """The error for an answer that is no success."""
        status = response.status_code
        code, message, request_id = self._reason(response)
        details = {
            "status": status,
            "code": code,
            "request_id": request_id or response.headers.get("X-Request-Id"),
            "method": method,
            "path": path,
        }
        if 300 <= status < 400:
            target = urlsplit(urljoin(self.base + path, response.headers.get("Location", "")))
            return ApiError(
                f"Could not {action}: {method} {path} is redirected to {target.scheme}://{target.netloc}{target.path}, which is not followed; "
                "set api_url to the address that answers itself.",
                **details,
            )
        reason = f"{code}: {message}" if code else message
        lost = status in GATEWAY_FAILURES and not repeatable
        hint = HINTS.get(status) or (
            "try again later" if status in GATEWAY_FAILURES and not lost else None
        )
        if status == 500 and method == "GET":
            hint = "the API itself failed"
        if status in (401, 403) and re.search("password|code|otp|mfa", code or "", re.IGNORECASE):
            hint = None  # it is not the key
        text = f"Could not {action}: {method} {path} answered {status} ({reason}){f'; {hint}' if hint else ''}."
        return (AnswerLost if lost else ApiError)(text, **details)

    def _reason(self, response: requests.Response) -> tuple[str | None, str, str | None]:
        """Take (code, message, request id) from an answer, without secrets; they go before the message is shortened, or a part of one would stay."""
        code, message, request_id = parse_error(
            response.headers.get("Content-Type", ""), text_of(response)
        )
        return code, squeeze(self._censored(message)), request_id

    def _censored(self, text: str) -> str:
        """The text without secrets."""
        for secret in spellings(self.secrets):
            text = text.replace(secret, "********")
        return text

    def _decode(self, response: requests.Response, method: str, path: str, action: str) -> t.Any:
        """The JSON object of a success, or ``None`` for an empty body.

        :raises ApiError: if there is a body that is no JSON object.
        """
        if not response.content:
            return None
        try:
            body = json.loads(response.content)
        except ValueError:
            body = None
        if not isinstance(body, dict):
            if method == "DELETE":
                return None
            # Of a success nothing is quoted but the title of a page: there could be a secret in it that nobody knew before.
            page = html_page(response.headers.get("Content-Type", ""), text_of(response))
            raise ApiError(
                f"Could not {action}: {method} {path} answered {response.status_code} without the documented JSON"
                f"{f' ({squeeze(self._censored(page))})' if page else ''}; check api_url.",
                status=response.status_code,
                request_id=response.headers.get("X-Request-Id"),
                method=method,
                path=path,
            )
        return body

    @staticmethod
    def _data(body: t.Any, path: str, action: str) -> t.Any:
        """``data`` of a decoded body.

        :raises ApiError: if there is none.
        """
        if not isinstance(body, dict) or "data" not in body:
            raise ApiError(
                f"Could not {action}: the answer to GET {path} lacks the documented key 'data'; check api_url.",
                method="GET",
                path=path,
            )
        return body["data"]


def text_of(response: requests.Response) -> str:
    """The body as text. It is UTF-8 unless the header says otherwise; requests would take Latin-1, and no secret with an umlaut would be found in it."""
    known = "charset" in response.headers.get("Content-Type", "").lower()
    return response.text if known else response.content.decode("utf-8", "replace")


def never_connected(exception: OSError) -> bool:
    """Whether nothing was sent, since no connection came about. With a proxy, urllib3 reports a connection that broke later in the same way."""
    reason = getattr(root_of(exception), "reason", None)
    if isinstance(reason, urllib3.exceptions.ProxyError):
        reason = reason.original_error
        if str(reason).startswith("Tunnel connection failed"):
            return True
    return isinstance(exception, requests.exceptions.ConnectTimeout) or isinstance(
        reason, (urllib3.exceptions.NewConnectionError, urllib3.exceptions.ConnectTimeoutError)
    )


def root_of(exception: BaseException) -> object:
    """What requests wrapped: usually the error of urllib3."""
    return exception.args[0] if exception.args else exception


def cause_of(exception: BaseException) -> object:
    """What ended a failed exchange, within what requests wrapped: its last argument says why."""
    root = root_of(exception)
    return getattr(root, "reason", None) or root


def reason_of(exception: BaseException) -> str:
    """The innermost reason of a failed exchange in a few words, without addresses of objects."""
    root = cause_of(exception)
    text = str(root.args[-1]) if isinstance(root, BaseException) and root.args else str(root)
    text = re.sub(
        r"<[^>]*object at 0x[0-9a-f]+>:? ?|\bHTTPS?Connection(Pool)?\([^)]*\):? ?", "", text
    )
    return squeeze(text, 120) or type(root).__name__
