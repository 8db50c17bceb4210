# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Multi-factor authentication of the user that the key acts as. No secret of it is lost.

Endpoints: ``/api/user/mfa``, ``/api/user/mfa/enable``, ``/api/user/mfa/verify`` and
``/api/user/mfa/disable``.

This file is private to the collection; it can change at any time.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import re
import traceback
import typing as t
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from urllib.parse import parse_qsl, urlsplit

from ansible_collections.planasonix.admin.plugins.module_utils import _secret_file
from ansible_collections.planasonix.admin.plugins.module_utils._client import Client
from ansible_collections.planasonix.admin.plugins.module_utils._errors import (
    AnswerLost,
    ApiError,
    InvalidOption,
    NotStored,
    RefusedPlan,
    carry,
)
from ansible_collections.planasonix.admin.plugins.module_utils._fields import BOOLEAN, check_filled
from ansible_collections.planasonix.admin.plugins.module_utils._plan import (
    Change,
    Plan,
    Values,
    describe,
    list_differences,
    without,
)
from ansible_collections.planasonix.admin.plugins.module_utils._resource import (
    Applied,
    Resource,
    Write,
    looks,
    require_field,
    send,
    send_until_answered,
)
from ansible_collections.planasonix.admin.plugins.module_utils._secret_file import PendingNote

PYOTP_IMPORT_ERROR: str | None = None
try:
    import pyotp
except ImportError:
    PYOTP_IMPORT_ERROR = traceback.format_exc()

MFA_PATH = "/api/user/mfa"
ENABLE_PATH = "/api/user/mfa/enable"
VERIFY_PATH = "/api/user/mfa/verify"
DISABLE_PATH = "/api/user/mfa/disable"

STEP = 30
"""Seconds for which a TOTP code is the current one (RFC 6238)."""

USUAL_CODES = {"digits": "6", "period": str(STEP), "algorithm": "SHA1"}
"""The defaults of an otpauth URI."""

# Statuses that an API may answer to a code that is not the current one. After a status in doubt,
# the error must name the code.
REFUSALS_OF_A_CODE = frozenset({400, 422})
REFUSALS_IN_DOUBT = frozenset({401, 403})

METHOD_FIELDS = ("type", "method", "name")
"""Fields that may contain the name of a method that the API lists as an object."""
TOTP_NAMES = frozenset({"totp", "otp", "authenticator", "authenticator_app", "time_based_otp"})
"""Names of APIs for the method that this module enrolls in."""
CODE_FIELDS = re.compile(r"backup|recovery|codes", re.IGNORECASE)
"""Words in the name of a field with backup codes."""

CodeAt = t.Callable[[float], str]
"""Gives the code of a Unix time."""


@dataclass(frozen=True)
class Mfa:
    """The MFA status, and what a plan needs besides.

    :param status: The status as the API shows it.
    :param file: The file at ``secret_file``, and the files next to it.
    :param identity: Identifies the user of the task in notes and records.
    """

    status: Values
    file: _secret_file.Found = field(default_factory=_secret_file.Found)
    identity: Values = field(default_factory=dict)


def check_mfa(options: Values) -> None:
    """Refuse options that cannot be used.

    :raises InvalidOption: with the reason.
    """
    if "secret_file" in options:
        _secret_file.check_path(options["secret_file"])
    check_filled(options, "password", "totp_secret", "code")
    if "totp_secret" in options:
        parse_totp_secret(options["totp_secret"], "totp_secret")


def parse_totp_secret(secret: str, what: str) -> CodeAt:
    """Return a function that computes the codes of a TOTP secret.

    :param what: The subject of the message of a failure.
    :raises InvalidOption: if the secret is no Base32 text.
    """

    class Authenticator(pyotp.TOTP):
        # pyotp 2.12 refuses less than 112 bits, and the API's documentation shows 80.
        min_secret_length_bits = 8

    text = "".join(secret.split()).upper()
    try:
        authenticator = Authenticator(text)
        authenticator.at(0)
    except (ValueError, TypeError):
        raise InvalidOption(f"{what} is no Base32 text, as a TOTP secret is.") from None
    return lambda now: str(authenticator.at(int(now)))


def read_mfa(client: Client, options: Values) -> Mfa:
    """Read ``GET /api/user/mfa``, and look at ``secret_file`` if it may be written."""
    path = options.get("secret_file") if options.get("state") == "enabled" else None
    return Mfa(
        without(client.get(MFA_PATH, "read the MFA status"), "updated_at"),
        _secret_file.look(path),
        _secret_file.identify(client),
    )


def is_on(status: Values) -> bool:
    """Return whether MFA is on.

    :raises ApiError: if the API does not say so by a boolean, or 0 or 1.
    """
    value = require_field(status, "enabled", "the MFA status")
    enabled: bool | None = BOOLEAN.read_or_none(value)
    if enabled is None:
        raise ApiError(f"The API's answer for the MFA status has no boolean in enabled: {value!r}.")
    return enabled


def read_methods(status: Values) -> list[str]:
    """Return the methods by which MFA is on, in lower case, and TOTP as ``totp``.

    :raises ApiError: if they are not listed, or have another shape.
    """
    if not is_on(status) and status.get("methods") is None:
        return []
    value = require_field(status, "methods", "the MFA status")
    if isinstance(value, str):
        value = re.split(r"[\s,]+", value.strip(" ,"))
    methods = []
    for item in value if isinstance(value, list) else [value or ""]:
        names = [item]
        if isinstance(item, dict):
            names = [item[name] for name in METHOD_FIELDS if name in item][:1]
        if not names or not isinstance(names[0], str):
            raise ApiError("The API's answer for the MFA status has no list of texts in methods.")
        name = names[0].strip().lower()
        methods.append("totp" if re.sub(r"[\s-]+", "_", name) in TOTP_NAMES else name)
    return sorted(set(filter(None, methods)))


def is_enrolled(client: Client, method: str) -> bool:
    """Read whether MFA is on by a method now."""
    status = read_mfa(client, {}).status
    return is_on(status) and method in read_methods(status)


def plan_mfa(current: Mfa, options: Values) -> Plan:
    """Plan to enroll in MFA by a method, or to disable MFA.

    :raises InvalidOption: if MFA is on, and the task does not give what is needed to disable it.
    """
    before: Values = {"enabled": is_on(current.status), "methods": read_methods(current.status)}
    if options["state"] == "enabled":
        method = options["method"]
        is_done = before["enabled"] and method in before["methods"]
        after: Values = {"enabled": True, "methods": sorted({*before["methods"], method})}
        change = Change("enable", "mfa", "enroll in MFA", method, before, after)
    else:
        is_done = not before["enabled"]
        after = {"enabled": False, "methods": []}
        change = Change("disable", "mfa", "disable MFA", before=before, after=after)
    if is_done:
        return Plan(before, before, predicted=current.status)
    has_code = "totp_secret" in options or "code" in options
    if change.action == "disable" and not (has_code and "password" in options):
        raise InvalidOption(
            "MFA is enabled; password, and totp_secret or code, are needed to disable it."
        )
    return Plan(
        before,
        after,
        # Only the server knows how many backup codes there are.
        predicted={**without(current.status, "backup_codes_remaining"), **after},
        message=describe("mfa", list_differences(before, after)),
        changes=(change,),
    )


def check_mfa_plan(plan: Plan, current: Mfa, options: Values) -> None:
    """Refuse an enrollment whose secret could not be stored.

    :raises InvalidOption: if another task left a note.
    :raises RefusedPlan: with the reason.
    """
    if any(change.action == "enable" for change in plan.changes):
        check_file(current, options)


def request_mfa(change: Change, options: Values) -> Write:
    """Return the request of a change, without the code that lives for half a minute.

    An enrollment has no effect before :func:`verify_enrollment`.
    """
    if change.action == "enable":
        body = {"method": change.object}
        return Write("POST", ENABLE_PATH, body, "start the MFA enrollment", changes=False)
    return Write("POST", DISABLE_PATH, {"password": options["password"]}, change.text)


def check_file(current: Mfa, options: Values) -> None:
    """Refuse an enrollment whose secret could not be stored, or would replace another one.

    :raises InvalidOption: if another task left a note.
    :raises RefusedPlan: with the reason.
    """
    found = current.file
    if found.obstacle:
        raise RefusedPlan(
            f"MFA is not enabled, since its secret could not be stored: {found.obstacle}; correct "
            "secret_file."
        )
    if found.note is not None and found.unfinished is not None:
        found.note.check(None, current.identity)
        return
    record = _secret_file.find_record(found)
    content = _secret_file.UNKNOWN_CONTENT
    if record is not None:
        content = _secret_file.describe_record(record)
    own = {"kind": "mfa", **current.identity}
    is_own = record is not None and own.items() <= record.items()
    if found.digest and not is_own and not options.get("secret_file_overwrite"):
        raise RefusedPlan(
            f"MFA is not enabled: {options['secret_file']} contains {content}, which would be "
            "lost. Give each user a file of its own, or set secret_file_overwrite: true once."
        )


def apply_mfa(client: Client, plan: Plan, current: Mfa, options: Values) -> Applied:
    """Send the change of a plan.

    :raises PlanasonixError: if it fails. Its details contain a new secret that is stored nowhere.
    """
    applied = Applied()
    try:
        for change in plan.changes:
            if change.action == "enable":
                with claimed(current):
                    enroll(client, change, current, applied.result)
            else:
                disable(client, change, options)
        return applied
    except Exception as error:
        raise carry(error, applied.result) from None


def disable(client: Client, change: Change, options: Values) -> None:
    """Disable MFA, with a code that is given or computed.

    :raises ApiError: if the API refuses it, or it is not known whether MFA is off.
    """

    def return_code(dummy_now: float) -> str:
        return str(options["code"])

    secret = options.get("totp_secret")
    CodeSender(
        client,
        request_mfa(change, options),
        parse_totp_secret(secret, "totp_secret") if secret else return_code,
        lambda: not is_on(read_mfa(client, {}).status),
        "MFA may be off by now. Look at the account before you run again.",
    ).run()


@contextlib.contextmanager
def claimed(current: Mfa) -> Iterator[None]:
    """Keep other runs from writing the secret file during an enrollment.

    :raises NotStored: if another run uses the file, or the note cannot be written.
    """
    note = current.file.note
    if note is None:
        yield
        return
    content = {"name": None, "operation": "enroll", "ids": [], **current.identity}
    try:
        note.claim(content, current.file)
    except OSError as error:
        raise NotStored(
            f"The MFA secret could not be written to {note.secret_file} ({error.strerror}), "
            "so MFA was not enabled; correct secret_file."
        ) from None
    try:
        yield
    except Exception:
        forget(note)
        raise
    forget(note)


def forget(note: PendingNote) -> None:
    """Remove the note. A note that stays does not disturb the next enrollment of this user."""
    with contextlib.suppress(NotStored, InvalidOption):
        note.forget()


def enroll(client: Client, change: Change, current: Mfa, result: Values) -> None:
    """Enroll, and keep the secret in the file or the result before the enrollment is verified.

    :param result: Gets what is stored nowhere else.
    :raises ApiError: if the API refuses the enrollment, or its answer is not as documented.
    :raises NotStored: if the secret could not be written to the file. The message says whether MFA
        is enabled.
    """
    request = request_mfa(change, {})
    enrollment = start_enrollment(client, request, change.object)
    secret = {name: enrollment[name] for name in ("secret", "otpauth_uri")}
    code = parse_totp_secret(
        secret["secret"], f"Could not {request.action}: the secret in the API's answer"
    )
    if current.file.note is None:
        result.update(secret, backup_codes=[])
    else:
        consequence = "so MFA was not enabled; correct secret_file"
        store(current, {**secret, "backup_codes": []}, consequence)
    answer = verify_enrollment(client, enrollment["enrollment_id"], change.object, code, current)
    codes = find_backup_codes(answer or {})
    client.secrets.learn(codes)
    if not codes:
        why = "the answer with its backup codes was lost"
        if answer is not None:
            why = "the API's answer has no backup codes"
        text = f"MFA is enabled, but {why}: make new ones in the product's account settings."
        result.update(backup_codes=[], warnings=[text])
        return
    result.update(secret, backup_codes=codes)
    if current.file.note is not None:
        consequence = (
            "but MFA is enabled; the file holds its secret, and this result the backup codes, "
            "which are shown once: take them from here"
        )
        store(current, result, consequence)
        result.clear()


def verify_enrollment(
    client: Client, enrollment_id: str, method: str, code: CodeAt, current: Mfa
) -> Values | None:
    """Complete an enrollment with a code; returns the answer as :class:`CodeSender` does."""
    note = current.file.note
    return CodeSender(
        client,
        Write("POST", VERIFY_PATH, {"enrollment_id": enrollment_id}, "verify the MFA enrollment"),
        code,
        lambda: is_enrolled(client, method),
        f"MFA may be on by now. Its secret is in {note.secret_file if note else 'this result'}.",
    ).run()


def start_enrollment(client: Client, request: Write, method: str) -> Values:
    """Start an enrollment; it has no effect before it is verified, so a lost one is started again.

    :raises ApiError: if the API refuses it, or its answer lacks what an enrollment needs.
    """
    answer = send_until_answered(
        client, lambda: send(client, request) or {}, lambda: is_enrolled(client, method)
    )
    if answer is None:
        raise AnswerLost(
            f"Could not {request.action}: the answer was lost, and MFA is on now. Look at the "
            "account before you run again.",
            method="POST",
            path=ENABLE_PATH,
        )
    enrollment: Values = answer if isinstance(answer, dict) else {}
    client.secrets.learn([enrollment.get("secret"), enrollment.get("otpauth_uri")])
    missing = [
        name
        for name in ("secret", "otpauth_uri", "enrollment_id")
        if not isinstance(enrollment.get(name), str) or not enrollment[name]
    ]
    if missing:
        raise ApiError(
            f"Could not {request.action}: the answer lacks the documented {', '.join(missing)}.",
            method="POST",
            path=ENABLE_PATH,
        )
    asked = dict(parse_qsl(urlsplit(enrollment["otpauth_uri"]).query))
    other = [
        f"{name}={asked[name]}"
        for name, usual in USUAL_CODES.items()
        if asked.get(name, usual).upper() != usual
    ]
    if other:
        raise ApiError(
            f"Could not {request.action}: the API asks for codes of another kind "
            f"({', '.join(other)}), which this module cannot compute; MFA is off."
        )
    return enrollment


def find_backup_codes(answer: Values) -> list[str]:
    """Return the backup codes of an answer, in any of the usual forms."""
    for name in ("backup_codes", *answer):
        value = answer.get(name)
        # A number says how many there are.
        if CODE_FIELDS.search(name) and isinstance(value, (str, list, dict)) and value:
            return split_codes(value)
    return []


def split_codes(value: t.Any) -> list[str]:
    """Return the codes in a value: a text, one a line, or objects with a code each."""
    if isinstance(value, str):
        for separator in ("\n", ",", None):
            parts = [part.strip() for part in value.split(separator)]
            if len(parts) > 1:
                break
        return [part for part in parts if part]
    if isinstance(value, dict):
        codes = [value[name] for name in ("code", "value") if name in value][:1]
        return split_codes(codes or list(value.values()))
    if isinstance(value, list):
        return list(itertools.chain.from_iterable(map(split_codes, value)))
    return [] if value is None or isinstance(value, bool) else [str(value)]


def store(current: Mfa, secret: Values, consequence: str) -> None:
    """Write the secret, its URI and the backup codes as JSON.

    :param consequence: What it means if they cannot be written.
    :raises NotStored: if they cannot be written.
    """
    note = t.cast(PendingNote, current.file.note)
    path, reason = note.secret_file, "another run began to write it"
    if note.is_ours():
        text, owner = json.dumps(secret, indent=2) + "\n", {"kind": "mfa", **current.identity}
        try:
            _secret_file.store(path, text, owner, _secret_file.look(path))
            return
        except OSError as error:
            reason = str(error.strerror)
    raise NotStored(f"The MFA secret could not be written to {path} ({reason}), {consequence}.")


@dataclass
class CodeSender:
    """Sends a request with the code of the moment.

    :param done: Reads whether the request took effect.
    :param doubt: What to add to the message of a failure if the request may have taken effect.
    :param lost: Whether an answer was lost.
    :param refused: Whether a code was refused.
    """

    client: Client
    request: Write
    code: CodeAt
    done: t.Callable[[], bool]
    doubt: str
    lost: bool = False
    refused: bool = False

    def run(self) -> Values | None:
        """Send the request; again if its answer is lost without effect.

        :returns: ``data`` of the answer; ``None`` if there is none, or if it was lost and reading
            shows the effect.
        :raises AnswerLost: if answers were lost until the retries or their budget were used up.
        :raises ApiError: if the API refuses the request.
        """
        try:
            answer = send_until_answered(self.client, self.send, self.took_effect)
        except AnswerLost as error:
            error.message += f" {self.doubt}"
            raise
        return answer if isinstance(answer, dict) else None

    def send(self) -> t.Any:
        """Send the request once, and once more if its code was refused.

        The half minute of the code may have ended on the way.
        """
        used = self.code(self.client.clock())
        self.client.secrets.learn(used)
        try:
            body = {**self.request.body, "code": used}
            return send(self.client, replace(self.request, body=body))
        except AnswerLost:
            self.lost = True
            raise
        except ApiError as error:
            if self.lost and self.took_effect():
                return None  # the lost attempt took effect after it was looked for
            is_about_code = may_refuse_code(error)
            if (
                not is_about_code
                or self.refused
                or not wait_for_next_code(self.client, self.code, used)
            ):
                self.explain(error, is_about_code)
                raise
        self.refused = True
        return self.send()

    def took_effect(self) -> bool:
        """Look with growing pauses whether a request took effect whose answer was lost."""
        return any(self.done() for _look in looks(self.client))

    def explain(self, error: ApiError, is_about_code: bool) -> None:
        """Add to the message of a refusal what it means, and what to do."""
        if self.lost:
            error.message += f" {self.doubt}"
        elif is_about_code:
            error.message += (
                " If it is the code that was refused, check the clock of the host that runs "
                "the module, and the secret or code given."
            )


def may_refuse_code(error: ApiError) -> bool:
    """Return whether a refusal may be about the code, and not about the password."""
    names_code = re.search(r"code|otp|mfa", error.code or "", re.IGNORECASE) is not None
    names_password = re.search("password", error.code or "", re.IGNORECASE) is not None
    return not names_password and (
        error.status in REFUSALS_OF_A_CODE or (error.status in REFUSALS_IN_DOUBT and names_code)
    )


def wait_for_next_code(client: Client, code: CodeAt, used: str) -> bool:
    """Wait for the next code, within the retry budget; returns whether there is one."""
    now = client.clock()
    if code(now) == used != code(now + STEP):
        client.pause(1, STEP - now % STEP + 0.1)
    return code(client.clock()) != used


def verify_mfa(current: Mfa, plan: Plan, options: Values) -> list[str]:
    """Return what the API does not show of a plan, as texts."""
    now: Values = {"enabled": is_on(current.status), "methods": read_methods(current.status)}
    if options["state"] == "disabled":
        done = not now["enabled"]
    else:
        # An API may call the method otherwise; if MFA was off before, it is on by this one now.
        is_new = not plan.before["enabled"]
        done = now["enabled"] and (is_new or options["method"] in now["methods"])
    return [] if done else list_differences(now, plan.after)


def return_status(current: Mfa, dummy_options: Values) -> Values:
    """Return the MFA status."""
    return current.status


MFA = Resource(
    "mfa",
    read_mfa,
    plan_mfa,
    return_status,
    verify_mfa,
    apply_mfa,
    check=check_mfa,
    guard=check_mfa_plan,
    request=request_mfa,
)
