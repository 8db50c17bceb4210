# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an answer contains, and what it means that there is none: errors for users.

This file is private to the collection; it can change at any time.
"""

from __future__ import annotations

import datetime
import email.utils
import errno
import html
import json
import math
import re
import sys
import typing as t
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ansible_collections.planasonix.admin.plugins.module_utils._errors import (
    AnswerLost,
    ApiError,
    NoConnection,
    TimedOut,
)
from ansible_collections.planasonix.admin.plugins.module_utils._texts import one_line, visible
from ansible_collections.planasonix.admin.plugins.module_utils._transport import (
    PastDeadline,
    TooLarge,
)

try:
    import requests
    import urllib3
except ImportError:
    pass  # the client reports what is missing

MAXIMUM_DEPTH = 100
"""The most objects and lists inside each other; Ansible itself fails at some hundreds."""
MAXIMUM_VALUES = 100_000
"""The most values in any other answer."""
MAXIMUM_LIST_VALUES = 500_000
"""The most values in all pages of a list. Ansible takes some hundred bytes for each."""
MAXIMUM_DECODED = 64 * 1024 * 1024
"""The most bytes of an answer as text, of which one emoji makes each character take four."""
EARLIEST_TIME = 1_000_000_000
"""Where an API gives a time or a number of seconds, a number from here on is a Unix time."""
EARLIEST_MILLISECONDS = EARLIEST_TIME * 100

NOT_DATA = frozenset({"data", "error", "errors", "message", "detail", "success"})
"""Keys of an answer that is more than an object of the API itself."""
DOCUMENTED = frozenset(
    {
        *("email", "methods", "scopes", "idle_timeout_minutes", "value", "default_timezone"),
        *("applies_to", "run_logs_days", "slug", "features", "max_pipelines", "tier"),
    }
)
"""Fields by which the documented objects can be recognized, one or two of each."""


@dataclass(frozen=True)
class Request:
    """One request, and what messages say about it.

    :param action: What it does: "read the settings".
    :param repeatable: Whether sending it twice does no harm.
    """

    method: str
    path: str
    action: str
    body: t.Any = None
    repeatable: bool = True

    def failure(self, reason: str, kind: type[ApiError] = ApiError, **details: t.Any) -> ApiError:
        """Build the error for the request, without raising it."""
        action = visible(self.action)  # may contain a name of the API
        return kind(f"Could not {action}: {reason}", method=self.method, path=self.path, **details)

    def unclear(self, reason: str, kind: type[ApiError] = ApiError, **details: t.Any) -> ApiError:
        """Build the error where the request may have taken effect.

        Its answer is lost if the request must not be repeated.
        """
        return self.failure(reason, kind if self.repeatable else AnswerLost, **details)


@dataclass(frozen=True)
class Reason:
    """Why the API refused a request, in its own words."""

    code: str | None
    message: str
    request_id: str | None


def parse_json(content: bytes, most: int = MAXIMUM_VALUES) -> t.Any:
    """Parse JSON that everything after it can work with.

    What it would take in memory is estimated first, as a killed worker ends the whole play.

    :param most: How many values there may be.
    :raises ValueError: if it is no JSON, has numbers that are not finite, too many values, or
        too many objects and lists inside each other.
    """
    if count_values(content) > most:
        raise ValueError("too many values")
    text = content.decode(json.detect_encoding(content), "surrogatepass")
    if sys.getsizeof(text) > MAXIMUM_DECODED:
        raise ValueError("too large as text")
    try:
        value = json.loads(text, parse_constant=_refuse, parse_float=_finite)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    _check_depth(value)
    return value


def count_values(content: bytes) -> int:
    """Return how many values there are in JSON at most, without parsing it."""
    return 1 + sum(map(content.count, (b",", b"[", b"{")))


def _refuse(name: str) -> t.NoReturn:
    raise ValueError(f"{name} is no number of JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("a number is too large")
    return number


def _check_depth(value: t.Any) -> None:
    """Go through containers level by level, as a recursion would fail where it matters.

    :raises ValueError: if there are too many levels.
    """
    level: list[t.Any] = [[value]]
    for _depth in range(MAXIMUM_DEPTH + 2):
        inner: list[t.Any] = []
        for container in level:
            items = container.values() if isinstance(container, dict) else container
            inner.extend(item for item in items if isinstance(item, (dict, list)))
        if not inner:
            return
        level = inner
    raise ValueError("nested too deeply")


def parse_error(content_type: str, text: str) -> Reason:
    """Take the reason from an error body.

    Understands ``{"error": {"code", "message"}}``, the same at the top or in a list ``errors``,
    the fields of OAuth and of problem details, and the HTML of a proxy.
    """
    try:
        body = parse_json(text.lstrip("\ufeff").encode("utf-8", "surrogatepass"))
    except ValueError:
        body = None
    if not isinstance(body, dict):
        return Reason(
            None, describe_page(content_type, text) or text.strip() or "no reason given", None
        )
    error, errors = body.get("error"), body.get("errors")
    if isinstance(errors, list) and len(errors) == 1:
        errors = errors[0]
    source = next((item for item in (error, errors) if isinstance(item, dict)), body)
    code = source.get("code")
    request_id = source.get("request_id") or body.get("request_id")
    words = error if isinstance(error, str) else errors
    message = _message(source) or _message(body) or words or "no reason given"
    return Reason(
        None if code is None else str(code),
        message if isinstance(message, str) else json.dumps(message, ensure_ascii=False),
        None if request_id is None else str(request_id),
    )


def _message(source: Mapping[str, t.Any]) -> t.Any:
    """Take the message from the field that has one."""
    for name in ("message", "error_description", "detail", "msg", "title"):
        if source.get(name):
            return validation_errors(source[name])
    return None


def describe_page(content_type: str, text: str) -> str | None:
    """Describe an HTML page; ``None`` if the text is none."""
    # Two searches, as one pattern for both tags would take for ever on many of the first.
    begin = re.search("<title[^<>]*>", text, re.IGNORECASE)
    end = re.compile("</title", re.IGNORECASE).search(text, begin.end()) if begin else None
    named = ""
    if begin and end:
        named = f" titled {html.unescape(text[begin.end() : end.start()]).strip()!r}"
    if not named and "html" not in content_type.lower():
        return None
    return f"an HTML page{named}, so a proxy or another server answered"


def validation_errors(detail: t.Any) -> t.Any:
    """Put the field errors of a web framework into words, without the values that they quote."""
    if not isinstance(detail, list) or not detail:
        return detail
    texts = []
    for item in detail:
        if not isinstance(item, dict) or not {"loc", "msg"} <= item.keys():
            return detail
        place = item["loc"]
        texts.append(
            f"{'.'.join(map(str, place)) if isinstance(place, list) else place}: {item['msg']}"
        )
    return "; ".join(texts)


def is_bare_object(body: t.Any) -> bool:
    """Whether an answer is an object of the API itself, without the documented ``data``."""
    return isinstance(body, dict) and bool(body) and NOT_DATA.isdisjoint(body)


def is_known_object(body: t.Any) -> bool:
    """Whether an answer is a bare object that the API documents, and not one of another server."""
    return is_bare_object(body) and not DOCUMENTED.isdisjoint(body)


def read_retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Return how many seconds the server asks to wait, or ``None`` where it does not say.

    Reads ``Retry-After`` (seconds or HTTP date), and ``X-RateLimit-Reset`` (a Unix time, or
    seconds) where no request remains.
    """
    value = headers.get("Retry-After", "").strip()
    seconds = _seconds_until(value, now)
    if seconds is None and value:
        seconds = _seconds_until_date(value, now)
    if seconds is None and headers.get("X-RateLimit-Remaining", "").strip() == "0":
        seconds = _seconds_until(headers.get("X-RateLimit-Reset", "").strip(), now)
    return seconds


def _seconds_until(value: str, now: float) -> float | None:
    """Read a number of seconds, or a Unix time in seconds or milliseconds."""
    if not re.fullmatch(r"[0-9]+(\.[0-9]+)?", value):
        return None
    number = float(value)
    if number < EARLIEST_TIME:
        return number
    if number >= EARLIEST_MILLISECONDS:
        number /= 1000
    return max(0.0, number - now)


def _seconds_until_date(value: str, now: float) -> float | None:
    """Read an HTTP date."""
    try:
        moment = email.utils.parsedate_to_datetime(value)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=datetime.timezone.utc)
        return max(0.0, moment.timestamp() - now)
    except (TypeError, ValueError, OverflowError):
        return None


Quote = Callable[[str, int], str]
"""Returns a text as a message may show it, with a length at most."""

NO_AGREEMENT = re.compile(
    "HANDSHAKE_FAILURE|PROTOCOL_VERSION|UNSUPPORTED_PROTOCOL|NO_SHARED_CIPHER"
    "|INSUFFICIENT_SECURITY",
    re.IGNORECASE,
)
"""What OpenSSL says where a handshake ends before anything is sent."""


@dataclass(frozen=True)
class Failure:
    """A failed exchange.

    :param retry: Whether the request may be sent again.
    """

    error: ApiError
    retry: bool = False


def explain(
    exception: Exception, request: Request, host: str, proxy: str | None, quote: Quote
) -> Failure:
    """Turn the exception of a failed exchange into an error.

    :param host: Host and port of the API, for messages.
    :param proxy: URL of the proxy that the environment names for the API.
    :param quote: Censors what the server said, which may be any of the secrets.
    """
    reason = quote(describe_cause(exception), 120)
    fault = _tls_fault(exception, host, reason) or _authorities_fault(exception)
    if fault:
        return Failure(request.failure(fault))
    fault = _proxy_fault(exception) if proxy else None
    if fault:
        text = (
            f"the proxy that the environment names for {host} cannot be used: {fault}. "
            f"Correct HTTPS_PROXY, HTTP_PROXY or ALL_PROXY, or name {host} in NO_PROXY."
        )
        return Failure(request.failure(text, NoConnection))
    if not never_connected(exception):
        return _lost_answer(exception, request, host, reason)
    text = f"no connection to {host} ({reason}); check api_url, the network and proxy variables."
    if proxy:
        text = (
            f"no connection to {host} through the proxy {proxy_host(proxy)} "
            f"({reason}); check this proxy, HTTPS_PROXY, HTTP_PROXY and "
            f"ALL_PROXY, or name {host} in NO_PROXY."
        )
    return Failure(request.failure(text, NoConnection), retry=True)


def _lost_answer(exception: Exception, request: Request, host: str, reason: str) -> Failure:
    """Explain an exchange that failed after the request was sent, or in an unknown way."""
    what = f"{request.method} {request.path}"
    if isinstance(exception, TooLarge):
        return Failure(request.unclear(f"{host} answered {what} in too many bytes ({exception})."))
    if isinstance(exception, requests.exceptions.ContentDecodingError):
        return Failure(request.unclear(f"the answer to {what} cannot be decoded."))
    if not isinstance(
        exception,
        (
            requests.exceptions.ConnectionError,
            requests.exceptions.Timeout,
            requests.exceptions.ChunkedEncodingError,
        ),
    ):
        kind = type(exception).__name__
        return Failure(request.failure(f"{kind} for {host}; check api_url and ca_path."))
    # urllib3's error is inside where the body is what takes too long.
    late = isinstance(exception, requests.exceptions.Timeout) or isinstance(
        unwrap(exception), urllib3.exceptions.ReadTimeoutError
    )
    doubt = "" if request.method == "GET" else ", so it may have taken effect or not"
    error = request.unclear(
        f"{host} gave no whole answer to {what} ({reason}){doubt}.",
        TimedOut if late else ApiError,
    )
    # Who waited for so long does not wait as long again.
    return Failure(error, retry=request.repeatable and not isinstance(exception, PastDeadline))


def _tls_fault(exception: Exception, host: str, reason: str) -> str | None:
    """Say why no TLS came about, if that is what failed."""
    is_tls = isinstance(exception, requests.exceptions.SSLError)
    behind_proxy = isinstance(exception, requests.exceptions.ProxyError)
    if not is_tls and not behind_proxy:
        return None
    text = str(exception)
    # Of a proxy also that its name is unknown, for which the system says "hostname".
    words = "certificate" if behind_proxy else "certificate|hostname"
    if re.search(words, text, re.IGNORECASE):
        whose = f"the proxy before {host}" if behind_proxy else host
        return (
            f"the TLS certificate of {whose} cannot be trusted ({reason}); "
            "set ca_path to the authority that signed it, or correct api_url."
        )
    if is_tls and "WRONG_VERSION_NUMBER" in text.upper().replace(" ", "_"):
        return f"{host} does not speak TLS; correct the port or the scheme of api_url."
    if is_tls and NO_AGREEMENT.search(text):
        return (
            f"{host} and this host agree on no version of TLS, or no cipher "
            f"({reason}); correct api_url, or update the older of them."
        )
    return None


def _authorities_fault(exception: Exception) -> str | None:
    """Say that a file may not be read; requests and urllib3 report a failed connection."""
    arguments: tuple[object, ...] = getattr(find_cause(exception), "args", ())
    innermost = arguments[-1] if arguments else None
    if not isinstance(innermost, PermissionError) or innermost.errno != errno.EACCES:
        return None
    return (
        "the file of ca_path, or of the environment's authorities, cannot be read; "
        "give it to this user."
    )


def _proxy_fault(exception: Exception) -> str | None:
    """Say what is wrong with the proxy, without its URL, which may contain a password."""
    if isinstance(exception, requests.exceptions.InvalidSchema):
        return "SOCKS needs the Python library PySocks"
    malformed = (requests.exceptions.InvalidURL, urllib3.exceptions.LocationValueError)
    if isinstance(exception, malformed):
        is_scheme = "scheme" in str(exception)
        return "its scheme is not supported" if is_scheme else "its URL is malformed"
    return None


def proxy_host(url: str) -> str:
    """Return host and port of a proxy, without the user and password before them."""
    address = url.rpartition("://")[2].rpartition("@")[2]
    return one_line(re.split("[/?#]", address)[0], 100)


def never_connected(exception: Exception) -> bool:
    """Whether nothing was sent, since no connection came about.

    With a proxy, urllib3 reports a connection that broke later in the same way.
    """
    reason = getattr(unwrap(exception), "reason", None)
    if isinstance(reason, urllib3.exceptions.ProxyError):
        reason = reason.original_error
        if str(reason).startswith("Tunnel connection failed"):
            return True
    return isinstance(exception, requests.exceptions.ConnectTimeout) or isinstance(
        reason, (urllib3.exceptions.NewConnectionError, urllib3.exceptions.ConnectTimeoutError)
    )


def unwrap(exception: BaseException) -> object:
    """Return what requests wrapped: usually the error of urllib3."""
    return exception.args[0] if exception.args else exception


def find_cause(exception: BaseException) -> object:
    """Return what ended a failed exchange, within what requests wrapped."""
    root = unwrap(exception)
    return getattr(root, "reason", None) or root


def describe_cause(exception: BaseException) -> str:
    """Return the innermost reason in a few words, without addresses of objects.

    Whoever shows it censors it first, and shortens it then.
    """
    root = find_cause(exception)
    text = str(root.args[-1]) if isinstance(root, BaseException) and root.args else str(root)
    text = re.sub(
        r"<[^>]*object at 0x[0-9a-f]+>:? ?|\bHTTPS?Connection(Pool)?\([^)]*\):? ?", "", text
    )
    return text.strip() or type(root).__name__
