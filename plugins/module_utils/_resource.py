# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What every resource of the API has in common: how it is read, planned and applied.

This file is private to the collection; it can change at any time.
"""

from __future__ import annotations

import typing as t
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from urllib.parse import quote

from ansible_collections.planasonix.admin.plugins.module_utils._errors import (
    AnswerLost,
    ApiError,
    InvalidOption,
    NotApplied,
    carry,
)
from ansible_collections.planasonix.admin.plugins.module_utils._fields import (
    IDENTIFYING,
    read_value,
)
from ansible_collections.planasonix.admin.plugins.module_utils._plan import (
    Change,
    Mismatch,
    Plan,
    Values,
    describe_mismatches,
)

if t.TYPE_CHECKING:
    from ansible_collections.planasonix.admin.plugins.module_utils._client import Client, Reply

Answer = t.TypeVar("Answer")
Found = t.TypeVar("Found")

CONFIRMATION_PAUSES = (0.25, 0.5, 1.0, 1.5, 2.0)
"""Seconds between two looks at a write that does not show yet."""


@dataclass(frozen=True)
class Write:
    """One write request, made from a change when it is applied.

    :param path: Documented path.
    :param action: What it does, for messages: ``remove 203.0.113.0/24 from the IP allowlist``.
    :param changes: Whether it changes the organization. A test notification does not.
    :param repeatable: Whether a POST sets a state, so that sending it twice does no harm.
    :param fallback: The body to send if the API refuses this one as invalid.
    """

    method: str
    path: str
    body: t.Any = None
    action: str = ""
    changes: bool = True
    repeatable: bool = False
    fallback: t.Any = None


@dataclass(frozen=True)
class Applied:
    """What the API answered to a plan.

    :param result: Keys that the result has only after a real run, for example ``secret``.
    :param find_by: Options that find the written object again, for example its new id.
    """

    result: Values = field(default_factory=dict)
    find_by: Values = field(default_factory=dict)


def send(client: Client, request: Write) -> t.Any:
    """Send a request; return ``data`` of the answer."""
    return exchange(client, request).data


def exchange(client: Client, request: Write) -> Reply:
    """Send a request, as :func:`send`; return all of the answer."""
    return client.send(
        request.method,
        request.path,
        request.body,
        action=request.action,
        repeatable=request.repeatable,
        changes=request.changes,
    )


def send_until_answered(
    client: Client, attempt: t.Callable[[], Answer], took_effect: t.Callable[[], bool]
) -> Answer | None:
    """Send a write that must not take effect twice; again as long as its answer is lost.

    :param attempt: Sends the write and returns its answer.
    :param took_effect: Reads whether a lost attempt took effect. It may also undo the attempt.
    :returns: The answer; ``None`` if it was lost and the write took effect.
    :raises AnswerLost: if answers were lost until the retries or their budget were used up.
    """
    number = 0
    while True:
        number += 1
        try:
            return attempt()
        except AnswerLost:
            # Waits before it looks, since the API may still be busy with the request.
            may_repeat = client.pause(number)
            if took_effect():
                return None
            if not may_repeat:
                raise


def look_for(client: Client, find: t.Callable[[], list[Found]]) -> list[Found]:
    """Look for something until it is found, with growing pauses; empty if it is not."""
    for _look in looks(client):
        found = find()
        if found:
            return found
    return []


def create_once(
    client: Client,
    request: Write,
    find: t.Callable[[], list[Values]],
    *,
    deletable: bool = True,
    needs_id: bool = True,
) -> Values:
    """Send a POST that creates an object, so that there is one in the end if answers are lost.

    :param find: Reads the objects that the request may have created.
    :param deletable: Whether the API can delete such an object, so that a double can be undone.
    :param needs_id: Whether the answer must have the new id. Otherwise the caller finds the object
        by reading, and a success is never sent again.
    :returns: ``data`` of the answer, or the object that was found; empty if neither has an id.
    :raises AnswerLost: if answers were lost until the retries or their budget were used up, or the
        answer lacks the id, and there is no such object.
    """
    seen: list[list[Values]] = []

    def took_effect() -> bool:
        seen.append(look_for(client, find))
        return bool(seen[-1])

    created = send_until_answered(client, lambda: send(client, request) or {}, took_effect)
    if isinstance(created, dict) and "id" in created:
        if seen and deletable:
            delete_doubles(client, request, find(), created["id"])
        return created
    if created is not None:
        if not needs_id:
            return {}
        client.pause(1)
    if created is None or took_effect():
        client.wrote = True
        return seen[-1][0]
    raise AnswerLost(
        f"Could not {request.action}: the answer to POST {request.path} lacks the documented id. "
        "It is not listed either; run again if it does not appear.",
        method="POST",
        path=request.path,
    )


def delete_doubles(client: Client, request: Write, found: Sequence[Values], new_id: t.Any) -> None:
    """Delete what a lost attempt created after it was looked for.

    :param found: The objects that the request may have created.
    :param new_id: The id of the one that stays.
    """
    for double in found:
        if not same_id(double["id"], new_id):
            path = f"{request.path}/{quote(str(double['id']), safe='')}"
            client.send("DELETE", path, action=f"undo a double of: {request.action}")


def no_request(change: Change, dummy_options: Values) -> Write:
    """The ``request`` of a resource that has requests of its own for each change."""
    raise NotImplementedError(change.action)


@dataclass(frozen=True)
class Resource:
    """One thing that a module manages.

    :param name: Key under which the module returns it; ``None`` where there is nothing to return.
    :param read: Reads the current state. Only GET.
    :param plan: Decides what to write, from the state and the given options. No I/O.
    :param to_result: The object that the module returns, from the state and the options.
    :param verify: What a plan wanted and the state that was read back does not show: fields, and
        texts about what is no field. ``None`` where ``apply`` verifies, or nothing can.
    :param guard: Refuses a plan that is not safe; it raises :class:`RefusedPlan`. No I/O.
    :param prepare: Called before a plan is applied, and in check mode, too. It returns keys of the
        result, or raises if nothing may be written.
    :param request: Turns a change into its request.
    :param apply: Sends the changes of the plan, given the state that it was made from. ``None``
        where they need nothing of each other's answers.
    :param check: Refuses options that contradict each other, before anything is read.
    :param explain: Called with the last state (``None`` if there is none) and the options if a
        write does not show: it undoes what must not stay, and raises if it knows the reason.
    :param read_back: Reads the state after the plan was sent, where that is not ``read``.
    :param finish: Sends what comes after a confirmed write; returns keys of the result.
    """

    name: str | None
    read: t.Callable[[Client, Values], t.Any]
    plan: t.Callable[[t.Any, Values], Plan]
    to_result: t.Callable[[t.Any, Values], Values]
    verify: t.Callable[[t.Any, Plan, Values], Sequence[Mismatch | str]] | None
    apply: t.Callable[[Client, Plan, t.Any, Values], Applied] | None = None
    check: t.Callable[[Values], None] = lambda dummy_options: None
    guard: t.Callable[[Plan, t.Any, Values], None] = lambda *dummy: None
    prepare: t.Callable[[Client, Plan, t.Any, Values], Values] = lambda *dummy: {}
    request: t.Callable[[Change, Values], Write] = no_request
    explain: t.Callable[[Client, Plan, t.Any, Values], None] = lambda *dummy: None
    finish: t.Callable[[Client, Plan, Values], Values] = lambda *dummy: {}
    read_back: t.Callable[[Client, Values], t.Any] | None = None

    def make_plan(self, state: t.Any, options: Values) -> Plan:
        """Plan what to write, unless that is not safe.

        :raises PlanasonixError: if there is no plan, or the guard refuses it.
        """
        plan = self.plan(state, options)
        self.guard(plan, state, options)
        return plan

    def to_keys(self, value: Values) -> Values:
        """Return the keys of the result that contain the managed object."""
        return {} if self.name is None else {self.name: value}

    def send(self, client: Client, plan: Plan, state: t.Any, options: Values) -> Applied:
        """Send the changes of a plan."""
        if self.apply is not None:
            return self.apply(client, plan, state, options)
        for change in plan.changes:
            send(client, self.request(change, options))
        return Applied()


@dataclass(frozen=True)
class Look:
    """One look at what a plan was to change.

    :param mismatches: What the API does not show (yet).
    :param error: Why nothing could be seen.
    """

    state: t.Any = None
    mismatches: Sequence[Mismatch | str] = ()
    error: ApiError | None = None

    @property
    def is_final(self) -> bool:
        """Whether another look would show the same: a refusal stays, a server error may pass."""
        if self.error is None:
            return not self.mismatches
        return self.error.status is None or self.error.status < 500


def apply_and_confirm(
    client: Client, resource: Resource, plan: Plan, state: t.Any, options: Values
) -> Values:
    """Send a plan, and read back until the API shows it.

    :param state: The state that the plan was made from.
    :returns: Keys that the result has after a real run: the object, and for example ``secret``.
    :raises NotApplied: if the API accepted the plan and does not show it in time.
    :raises PlanasonixError: if the API refuses it, or it cannot be read back. Its details contain
        what the API answered only once.
    """
    applied = Applied()
    try:
        applied = resource.send(client, plan, state, options)
        return confirm(client, resource, plan, {**options, **applied.find_by}, applied.result)
    except Exception as error:
        raise carry(error, applied.result) from None


def confirm(
    client: Client, resource: Resource, plan: Plan, options: Values, result: Values
) -> Values:
    """Read back until the API shows a plan that was sent; arguments as of ``look_at``.

    :param result: Keys that the result has because of the API's answers.
    """
    if not plan.changed or resource.verify is None:
        return resource.to_keys(plan.predicted) | result | resource.finish(client, plan, options)
    seen = Look()
    for _look in looks(client):
        seen = look_at(client, resource, plan, options)
        if seen.is_final:
            break
    if seen.error is not None:
        seen.error.message = (
            f"The change was made ({plan.message}), but could not be confirmed: "
            f"{seen.error.message}"
        )
        seen.error.is_unconfirmed = True
        raise seen.error
    if seen.mismatches:
        resource.explain(client, plan, seen.state, options)
        raise NotApplied(describe_mismatches(seen.mismatches))
    finished = resource.finish(client, plan, options)
    return resource.to_keys(resource.to_result(seen.state, options)) | result | finished


def look_at(client: Client, resource: Resource, plan: Plan, options: Values) -> Look:
    """Read what a plan was to change, and compare."""
    if resource.verify is None:
        return Look()
    try:
        state = None
        state = (resource.read_back or resource.read)(client, options)
        return Look(state, resource.verify(state, plan, options))
    except InvalidOption as error:  # a new object that is not listed yet
        return Look(state, [error.message])
    except ApiError as error:
        return Look(error=error)


def looks(client: Client) -> Iterator[None]:
    """Yield now, and again after each growing pause, while the retry budget lasts."""
    yield
    for seconds in CONFIRMATION_PAUSES:
        if not client.wait(seconds):
            return
        yield


def same_id(one: t.Any, other: t.Any) -> bool:
    """Return whether two ids are spelled alike: an API may list ``43`` for a task's ``"43"``."""
    return str(one) == str(other)


def return_state(current: Values, dummy_options: Values) -> Values:
    """Return what was read, as it is: a ``to_result``."""
    return current


def require_field(values: Values, name: str, subject: str) -> t.Any:
    """The field of an answer.

    A missing field is never taken for equal.

    :raises ApiError: if the answer lacks it, or it identifies an object and is no text.
    """
    if name not in values:
        raise ApiError(
            f"The API's answer for {subject} lacks the field {name!r}, so it can be neither "
            "compared nor managed; check api_url and the API's version."
        )
    if name in IDENTIFYING:
        read_value(values[name], IDENTIFYING[name], name, subject)
    return values[name]
