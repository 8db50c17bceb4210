# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an answer contains: JSON within bounds, the reason of an error, the page of a proxy.

This file is private to the collection; it can change at any time.
"""

from __future__ import annotations

import datetime
import email.utils
import html
import json
import math
import re
import sys
import typing as t
from collections.abc import Mapping
from dataclasses import dataclass

from ansible_collections.planasonix.admin.plugins.module_utils._errors import (
    AnswerLost,
    ApiError,
)
from ansible_collections.planasonix.admin.plugins.module_utils._texts import visible

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
            None, html_page(content_type, text) or text.strip() or "no reason given", None
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


def html_page(content_type: str, text: str) -> str | None:
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


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
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
