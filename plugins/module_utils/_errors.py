# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What can go wrong, as exceptions that carry the message for the user.

This file is private to the collection; it can change at any time.
"""

from __future__ import annotations

import traceback
import typing as t
from pathlib import PurePath


class PlanasonixError(Exception):
    """A failure that a user can understand.

    :param message: What failed, on which object, and what to do. Never contains a secret.
    :param details: What the module returns besides ``msg``, for example ``status`` and ``code``.
    :ivar is_unconfirmed: Whether a change was made, and reading it back failed.
    """

    is_unconfirmed = False

    def __init__(self, message: str, **details: t.Any) -> None:
        super().__init__(message)
        self.message = message
        self.details = {name: value for name, value in details.items() if value is not None}


class Unexpected(PlanasonixError):
    """A fault of this collection, or an answer that no one thought of.

    The text of the original exception could contain anything, a key included, so the message names
    only its kind and place.
    """

    def __init__(self, error: Exception) -> None:
        place = traceback.extract_tb(error.__traceback__)[-1]
        kind = type(error).__name__
        super().__init__(
            f"Unexpected {kind} in {PurePath(place.filename).name}, line {place.lineno}; "
            "please report it with the playbook's task."
        )


class InvalidOption(PlanasonixError):
    """The options contradict each other, or a value cannot be used; nothing was written."""


class RefusedPlan(PlanasonixError):
    """What is asked for is possible, but a safeguard forbids it; nothing was written."""


class NotApplied(PlanasonixError):
    """The API accepted a write, and reading back shows that it did not take effect."""


class NotStored(PlanasonixError):
    """A secret could not be written to the file that was to keep it."""


class ApiError(PlanasonixError):
    """The API could not be reached, or did not answer as documented.

    ``status`` is the HTTP status. It is ``None`` without an answer, or with one of another shape.

    :ivar answered: Whether there was an answer.
    """

    answered = True

    def __init__(self, message: str, **details: t.Any) -> None:
        super().__init__(message, **details)
        self.status: int | None = details.get("status")
        self.code: str | None = details.get("code")

    @property
    def did_nothing(self) -> bool:
        """Whether it is certain that the request had no effect.

        A lost answer, a server error, a timeout (408) and an answer of another shape leave it open.
        """
        return self.status is not None and 300 <= self.status < 500 and self.status != 408

    @property
    def affects_every_request(self) -> bool:
        """Whether every further request would fail, too (dead key, unreachable host)."""
        return self.status == 401


class NoConnection(ApiError):
    """No connection was established, so nothing was sent."""

    @property
    def did_nothing(self) -> bool:
        return True

    @property
    def affects_every_request(self) -> bool:
        return True


class TimedOut(ApiError):
    """The answer to a request that may be repeated took longer than ``timeout`` or ``deadline``."""

    @property
    def affects_every_request(self) -> bool:
        return True


class AnswerLost(ApiError):
    """A write may have taken effect, since its answer never came. Only reading can show it."""


def carry(error: Exception, result: dict[str, t.Any]) -> Exception:
    """Return an error that hands over what would be lost with it, such as a new secret.

    :param result: Keys of the failed result.
    """
    if not result:
        return error
    failure = error if isinstance(error, PlanasonixError) else Unexpected(error)
    failure.details = {**result, **failure.details}
    return failure
