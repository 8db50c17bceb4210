# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Multi-factor authentication of the user that the key acts as, enrolled so that its secret is
never lost.

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
)
from ansible_collections.planasonix.admin.plugins.module_utils._fields import BOOLEAN
from ansible_collections.planasonix.admin.plugins.module_utils._options import check_filled
from ansible_collections.planasonix.admin.plugins.module_utils._plan import (
    Plan,
    Values,
    describe,
    differences,
    without,
)
from ansible_collections.planasonix.admin.plugins.module_utils._resource import (
    Applied,
    Resource,
    Write,
    looks,
    require_field,
    send,
)

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
"""What an otpauth URI that says nothing else means."""

# What an API may answer to a code that is no longer, or not yet, the current one; other refusals
# must name the code to be taken for one of it.
REFUSALS_OF_A_CODE = frozenset({400, 422})
REFUSALS_IN_DOUBT = frozenset({401, 403})

METHOD_FIELDS = ("type", "method", "name")
"""Fields that may contain the name of a method that the API lists as an object."""
TOTP_NAMES = frozenset({"totp", "otp", "authenticator", "authenticator_app", "time_based_otp"})
"""What APIs call the method that this module enrolls in."""
CODE_FIELDS = re.compile(r"backup|recovery|codes", re.IGNORECASE)
"""What the name of a field with backup codes contains."""

CodeAt = t.Callable[[float], str]
"""Gives the code of a Unix time."""


@dataclass(frozen=True)
class Mfa:
    """What is known of MFA.

    :param status: As the API tells it.
    :param file: What is at ``secret_file``, and next to it.
    :param identity: What tells the user of the task from others.
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
        code_of(options["totp_secret"], "totp_secret")


def code_of(secret: str, what: str) -> CodeAt:
    """The codes of a TOTP secret.

    :param what: What it is, for the message.
    :raises InvalidOption: if it is no Base32 text.
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
        _secret_file.look(path) if path else _secret_file.Found(),
        _secret_file.identity(client),
    )


def is_on(status: Values) -> bool:
    """Whether MFA is on.

    :raises ApiError: if the API does not say so by a boolean, or 0 or 1.
    """
    value = require_field(status, "enabled", "the MFA status")
    enabled: bool | None = BOOLEAN.read_or_none(value)
    if enabled is None:
        raise ApiError(f"The API's answer for the MFA status has no boolean in enabled: {value!r}.")
    return enabled


def methods_of(status: Values) -> list[str]:
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


def has(status: Values, method: str) -> bool:
    """Whether MFA is on by a method."""
    return is_on(status) and method in methods_of(status)


def is_enrolled(client: Client, method: str) -> bool:
    """Read whether MFA is on by a method now."""
    return has(read_mfa(client, {}).status, method)


def plan_mfa(current: Mfa, options: Values) -> Plan:
    """Plan an enrollment, started and verified, or to disable MFA.

    Codes are filled in when they are sent: they live for half a minute.

    :raises InvalidOption: if MFA is on and what is needed to disable it is not given.
    :raises RefusedPlan: if the secret could not be stored.
    """
    before: Values = {"enabled": is_on(current.status), "methods": methods_of(current.status)}
    method = options["method"]
    after = (
        {"enabled": True, "methods": sorted({*before["methods"], method})}
        if options["state"] == "enabled"
        else {"enabled": False, "methods": []}
    )
    if has(current.status, method) if options["state"] == "enabled" else not before["enabled"]:
        return Plan(before, before, predicted=current.status)
    if options["state"] == "enabled":
        check_file(current, options)
        calls: tuple[Write, ...] = (
            Write(
                "POST", ENABLE_PATH, {"method": method}, "start the MFA enrollment", changes=False
            ),  # without effect before it is verified
            Write("POST", VERIFY_PATH, None, "verify the MFA enrollment"),
        )
    else:
        if "password" not in options or not {"totp_secret", "code"} & options.keys():
            raise InvalidOption(
                "MFA is enabled; password, and totp_secret or code, are needed to disable it."
            )
        calls = (Write("POST", DISABLE_PATH, None, "disable MFA"),)
    # How many backup codes there are is for the server to say.
    outcome = {**without(current.status, "backup_codes_remaining"), **after}
    return Plan(before, after, calls, outcome, describe("mfa", differences(before, after)))


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
    if found.note is not None:
        _secret_file.check_note(options["secret_file"], found.note, None, current.identity)
        return
    record = _secret_file.record_of_content(found)
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
    """Send the plan.

    :raises PlanasonixError: if it fails; what is nowhere else by then is left in
        ``client.unsaved``.
    """
    if not plan.calls:
        return Applied()
    if options["state"] == "enabled":
        start, verify = plan.calls
        path = options.get("secret_file")
        with claimed(path, current):
            return Applied(enroll(client, start, verify, path, current.identity))
    code = (
        code_of(options["totp_secret"], "totp_secret")
        if "totp_secret" in options
        else lambda dummy_now: str(options["code"])
    )
    send_with_code(
        client,
        plan.calls[0],
        {"password": options["password"]},
        code,
        lambda: not is_on(read_mfa(client, {}).status),
        "MFA may be off by now. Look at the account before you run again.",
    )
    return Applied()


@contextlib.contextmanager
def claimed(path: str | None, current: Mfa) -> Iterator[None]:
    """Keep other runs from writing the secret file meanwhile.

    :raises NotStored: if another run uses it, or that cannot be noted; nothing was sent yet.
    """
    if path is None:
        yield
        return
    note = {"name": None, "operation": "enroll", "ids": [], **current.identity}
    try:
        _secret_file.claim(path, note, current.file)
    except OSError as error:
        raise NotStored(
            f"The MFA secret could not be written to {path} ({error.strerror}), "
            "so MFA was not enabled; correct secret_file."
        ) from None
    try:
        yield
    except Exception:
        remove_note(path)
        raise
    remove_note(path)


def remove_note(path: str) -> None:
    """Remove the note; one that stays harms no later enrollment of this user."""
    with contextlib.suppress(NotStored, InvalidOption):
        _secret_file.remove_note(path, None)


def enroll(
    client: Client, start: Write, verify: Write, path: str | None, identity: Values
) -> Values:
    """Enroll, and hand over the secret: to the file before it is verified, or to the result.

    :returns: Keys of the result.
    :raises ApiError: if the API refuses it, or what it answers is not as documented.
    :raises NotStored: if the secret could not be written to the file; before it is verified,
        nothing was changed by then.
    """
    enrollment = start_enrollment(client, start)
    secret = {
        "secret": enrollment["secret"],
        "otpauth_uri": enrollment["otpauth_uri"],
        "backup_codes": [],
    }
    code = code_of(secret["secret"], f"Could not {start.action}: the secret in the API's answer")
    if path:
        store(path, secret, identity, "so MFA was not enabled; correct secret_file")
    else:
        client.unsaved.update(secret)
    answer = send_with_code(
        client,
        verify,
        {"enrollment_id": enrollment["enrollment_id"]},
        code,
        lambda: is_enrolled(client, start.body["method"]),
        f"MFA may be on by now. Its secret is in {path or 'this result'}.",
    )
    codes = backup_codes(answer or {})
    client.secrets.learn(codes)
    if not codes:
        why = "the answer with its backup codes was lost"
        if answer is not None:
            why = "the API's answer has no backup codes"
        text = f"MFA is enabled, but {why}: make new ones in the product's account settings."
        return {**client.unsaved, "backup_codes": [], "warnings": [text]}
    secret["backup_codes"] = codes
    client.unsaved.update(secret)
    if path:
        store(
            path,
            secret,
            identity,
            "but MFA is enabled; the file holds its secret, and this result the backup codes, "
            "which are shown once: take them from here",
        )
        client.unsaved.clear()
    return dict(client.unsaved)


def start_enrollment(client: Client, call: Write) -> Values:
    """Start an enrollment; it has no effect before it is verified, so a lost one is started again.

    :raises ApiError: if the API refuses it, or its answer lacks what an enrollment needs.
    """
    attempt = 0
    while True:
        attempt += 1
        try:
            enrollment = send(client, call)
            break
        except AnswerLost:
            again = client.pause(attempt)
            if is_enrolled(client, call.body["method"]) or not again:
                raise
    enrollment = enrollment if isinstance(enrollment, dict) else {}
    client.secrets.learn([enrollment.get("secret"), enrollment.get("otpauth_uri")])
    missing = [
        name
        for name in ("secret", "otpauth_uri", "enrollment_id")
        if not isinstance(enrollment.get(name), str) or not enrollment[name]
    ]
    if missing:
        raise ApiError(
            f"Could not {call.action}: the answer lacks the documented {', '.join(missing)}.",
            method=call.method,
            path=call.path,
        )
    asked = dict(parse_qsl(urlsplit(enrollment["otpauth_uri"]).query))
    other = [
        f"{name}={asked[name]}"
        for name, usual in USUAL_CODES.items()
        if asked.get(name, usual).upper() != usual
    ]
    if other:
        raise ApiError(
            f"Could not {call.action}: the API asks for codes of another kind "
            f"({', '.join(other)}), which this module cannot compute; MFA is off."
        )
    return enrollment


def backup_codes(answer: Values) -> list[str]:
    """Return the backup codes of an answer, in whatever usual form they come."""
    for name in ("backup_codes", *answer):
        value = answer.get(name)
        # A number says how many there are.
        if CODE_FIELDS.search(name) and isinstance(value, (str, list, dict)) and value:
            return texts_of(value)
    return []


def texts_of(value: t.Any) -> list[str]:
    """Return the codes in a value: a text, one a line, or objects with a code each."""
    if isinstance(value, str):
        for separator in ("\n", ",", None):
            parts = [part.strip() for part in value.split(separator)]
            if len(parts) > 1:
                break
        return [part for part in parts if part]
    if isinstance(value, dict):
        codes = [value[name] for name in ("code", "value") if name in value][:1]
        return texts_of(codes or list(value.values()))
    if isinstance(value, list):
        return list(itertools.chain.from_iterable(map(texts_of, value)))
    return [] if value is None or isinstance(value, bool) else [str(value)]


def store(path: str, secret: Values, identity: Values, consequence: str) -> None:
    """Write the secret, its URI and the backup codes as JSON.

    :raises NotStored: if they cannot be written, with what that means.
    """
    reason = "another run began to write it"
    if _secret_file.is_ours(path):
        text, owner = json.dumps(secret, indent=2) + "\n", {"kind": "mfa", **identity}
        try:
            _secret_file.store(path, text, owner, _secret_file.look(path))
            return
        except OSError as error:
            reason = str(error.strerror)
    raise NotStored(f"The MFA secret could not be written to {path} ({reason}), {consequence}.")


def send_with_code(
    client: Client,
    call: Write,
    body: Values,
    code: CodeAt,
    done: t.Callable[[], bool],
    doubt: str,
) -> Values | None:
    """Send a call with the current code.

    A code that is refused is followed once by the next one: its half minute may have ended on the
    way.

    :param done: Reads whether the call took effect.
    :param doubt: What to add to the message of a failure if the call may have taken effect.
    :returns: ``data`` of the answer; ``None`` where there is none, or where it was lost and reading
        shows the effect.
    :raises AnswerLost: if answers were lost until the retries or their budget were used up, without
        effect.
    :raises ApiError: if the API refuses it.
    """
    attempt = 0
    lost = refused = False
    while True:
        attempt += 1
        used = code(client.clock())
        client.secrets.learn(used)
        try:
            answer = send(client, replace(call, body={**body, "code": used}))
            return answer if isinstance(answer, dict) else None
        except AnswerLost as error:
            lost = True
            again = client.pause(attempt)
            if took_effect(client, done):
                return None
            if not again:
                error.message += f" {doubt}"
                raise
        except ApiError as error:
            if lost and took_effect(client, done):
                return None  # the lost attempt took effect after it was looked for
            about_code = refuses_the_code(error)
            if about_code and not refused and next_code(client, code, used):
                refused = True
                continue
            if lost:
                error.message += f" {doubt}"
            elif about_code:
                error.message += (
                    " If it is the code that was refused, check the clock of the host that runs "
                    "the module, and the secret or code given."
                )
            raise


def took_effect(client: Client, done: t.Callable[[], bool]) -> bool:
    """Look with growing pauses whether a call took effect whose answer was lost."""
    return any(done() for _look in looks(client))


def refuses_the_code(error: ApiError) -> bool:
    """Whether a refusal may be about the code, and not about the password or something else."""
    names_code = re.search(r"code|otp|mfa", error.code or "", re.IGNORECASE) is not None
    names_password = re.search("password", error.code or "", re.IGNORECASE) is not None
    return not names_password and (
        error.status in REFUSALS_OF_A_CODE or (error.status in REFUSALS_IN_DOUBT and names_code)
    )


def next_code(client: Client, code: CodeAt, used: str) -> bool:
    """Wait for the next code, within the retry budget; returns whether there is one."""
    now = client.clock()
    if code(now) == used != code(now + STEP):
        client.pause(1, STEP - now % STEP + 0.1)
    return code(client.clock()) != used


def verify_mfa(current: Mfa, plan: Plan, options: Values) -> list[str]:
    """What a plan wanted and the API did not do."""
    now: Values = {"enabled": is_on(current.status), "methods": methods_of(current.status)}
    if options["state"] == "disabled":
        done = not now["enabled"]
    else:
        # An API may call the method otherwise; if MFA was off before, it is on by this one now.
        is_new = not plan.before["enabled"]
        done = now["enabled"] and (is_new or options["method"] in now["methods"])
    return [] if done else differences(now, plan.after)


def show_mfa(current: Mfa, dummy_options: Values) -> Values:
    """The MFA status as it now is."""
    return current.status


MFA = Resource("mfa", read_mfa, plan_mfa, show_mfa, verify_mfa, apply_mfa, check_mfa)
