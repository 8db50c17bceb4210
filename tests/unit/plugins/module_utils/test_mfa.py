# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""MFA: enrolled without a phone, and the secret is never lost."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from unittest import mock

import pytest
from unit.plugins.fake_api import BACKUP_CODES, TOTP_SECRET, FakeApi, Killed, perform, perform_both

from ansible_collections.planasonix.admin.plugins.module_utils import _secret_file
from ansible_collections.planasonix.admin.plugins.module_utils._errors import RefusedPlan
from ansible_collections.planasonix.admin.plugins.module_utils._mfa import (
    MFA,
    Mfa,
    parse_totp_secret,
)
from ansible_collections.planasonix.admin.plugins.modules.planasonix_mfa import MODULE

ENABLE, VERIFY, DISABLE = (
    f"POST /api/user/mfa/{action}" for action in ("enable", "verify", "disable")
)
ON = {"enabled": True, "methods": ["totp"], "backup_codes_remaining": 2}
OFF = {"enabled": False, "methods": [], "backup_codes_remaining": 0}
PASSWORD = "old password"


@pytest.fixture
def api() -> FakeApi:
    return FakeApi().add_singletons()


@pytest.fixture
def enrolled(api: FakeApi) -> FakeApi:
    api.objects["user/mfa"] = dict(ON)
    return api


def posts(api: FakeApi) -> list[str]:
    return [request.rpartition("/")[2] for request in api.writes]


def test_enrollment(api):
    result = perform_both(api, MODULE, state="enabled")
    assert api.writes == [ENABLE, VERIFY]
    assert api.bodies[0] == {"method": "totp"}
    assert api.bodies[1] == {"enrollment_id": "mfaenr_1", "code": api.codes()[0]}
    assert (result["secret"], result["backup_codes"], result["mfa"]) == (
        TOTP_SECRET,
        BACKUP_CODES,
        ON,
    )
    assert result["otpauth_uri"].startswith("otpauth://totp/Planasonix:")
    assert result["msg"] == 'mfa: enabled false -> true, methods [] -> ["totp"]'
    again = perform(api, MODULE, state="enabled")
    assert (again["changed"], again["msg"], again["mfa"]) == (False, "no change", ON)
    assert "secret" not in again
    assert api.writes == [ENABLE, VERIFY]


def test_check_mode_leaves_out_what_only_the_server_knows(api):
    assert perform(api, MODULE, check_mode=True, state="enabled")["mfa"] == {
        "enabled": True,
        "methods": ["totp"],
    }


def test_secret_file(api, tmp_path):
    path = tmp_path / "mfa.json"
    result = perform_both(api, MODULE, state="enabled", secret_file=str(path))
    assert not {"secret", "otpauth_uri", "backup_codes"} & result.keys()
    kept = json.loads(path.read_text())
    assert (kept["secret"], kept["backup_codes"]) == (TOTP_SECRET, BACKUP_CODES)
    assert kept["otpauth_uri"].startswith("otpauth://")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert sorted(file.name for file in tmp_path.iterdir()) == ["mfa.json", "mfa.json.owner"]


def test_the_secret_is_in_the_file_before_the_verification_is_sent(api, tmp_path):
    path = tmp_path / "mfa.json"
    api.fail(VERIFY, "killed after")
    with pytest.raises(Killed):
        perform(api, MODULE, state="enabled", secret_file=str(path))
    assert json.loads(path.read_text()) == {
        "secret": TOTP_SECRET,
        "otpauth_uri": api._enrollment()["otpauth_uri"],
        "backup_codes": [],
    }
    assert not perform(api, MODULE, state="enabled", secret_file=str(path))["changed"]
    assert json.loads(path.read_text())["secret"] == TOTP_SECRET


@pytest.mark.parametrize("check_mode", [True, False], ids=["check", "run"])
def test_a_file_that_cannot_be_written_is_refused_before_anything_is_sent(
    api, tmp_path, check_mode
):
    result = perform(
        api, MODULE, check_mode, state="enabled", secret_file=str(tmp_path / "missing" / "mfa.json")
    )
    assert "its secret could not be stored: the folder" in result["msg"]
    assert api.writes == []


def test_a_file_that_fails_before_the_verification_leaves_mfa_off(api, tmp_path, monkeypatch):
    def fail(path: str, text: str) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(_secret_file, "write", fail)
    result = perform(api, MODULE, state="enabled", secret_file=str(tmp_path / "mfa.json"))
    assert "(No space left on device), so MFA was not enabled" in result["msg"]
    assert posts(api) == ["enable"]
    assert TOTP_SECRET not in str(result)


def test_a_file_that_fails_after_the_verification_leaves_the_codes_in_the_result(
    api, tmp_path, monkeypatch
):
    write = _secret_file.write

    def fail_on_codes(path: str, text: str) -> None:
        if BACKUP_CODES[0] in text:
            raise OSError(28, "No space left on device")
        write(path, text)

    monkeypatch.setattr(_secret_file, "write", fail_on_codes)
    result = perform(api, MODULE, state="enabled", secret_file=str(tmp_path / "mfa.json"))
    assert (result["failed"], result["changed"], result["backup_codes"]) == (
        True,
        True,
        BACKUP_CODES,
    )
    assert "take them from here" in result["msg"]
    assert json.loads((tmp_path / "mfa.json").read_text())["secret"] == TOTP_SECRET


@pytest.mark.parametrize("with_file", [True, False], ids=["file", "result"])
def test_a_lost_verification_that_took_effect_is_a_success_without_codes(api, tmp_path, with_file):
    path = tmp_path / "mfa.json"
    api.fail(VERIFY, "lost after")
    result = perform(
        api, MODULE, state="enabled", **({"secret_file": str(path)} if with_file else {})
    )
    assert (result.get("failed"), result["changed"], result["backup_codes"], result["mfa"]) == (
        None,
        True,
        [],
        ON,
    )
    assert "make new ones" in result["warnings"][0]
    assert (json.loads(path.read_text()) if with_file else result)["secret"] == TOTP_SECRET
    assert posts(api) == ["enable", "verify"]


def test_a_lost_verification_without_effect_is_sent_again(api):
    api.fail(VERIFY, "lost before", times=2)
    result = perform(api, MODULE, state="enabled")
    assert result["backup_codes"] == BACKUP_CODES
    assert posts(api) == ["enable", "verify", "verify", "verify"]
    assert [path for method, path, _body in api.log if method == "GET"][1:3] == [
        "/api/user/mfa"
    ] * 2, "it reads before it repeats"


def test_a_lost_verification_that_takes_effect_late(api):
    """It is looked for in vain, sent again, and then refused since MFA is on by now."""
    api.fail(VERIFY, "lost before")
    api.fail(VERIFY, "409 before")
    reads = iter([OFF, OFF, ON, ON])
    answer = api.answer
    api.answer = lambda method, path, body: (
        (200, next(reads)) if path == ["user", "mfa"] else answer(method, path, body)
    )  # type: ignore[method-assign]
    result = perform(api, MODULE, state="enabled")
    assert (result.get("failed"), result["backup_codes"]) == (None, [])


def test_a_verification_that_nobody_answers_hands_the_secret_over(api):
    api.fail(VERIFY, "lost before", times=99)
    result = perform(api, MODULE, state="enabled", retries=1)
    assert (result["failed"], result["secret"]) == (True, TOTP_SECRET)


def test_a_lost_start_is_started_again(api):
    api.fail(ENABLE, "lost after")
    assert perform(api, MODULE, state="enabled")["backup_codes"] == BACKUP_CODES
    assert posts(api) == ["enable", "enable", "verify"]


def test_a_lost_start_is_not_repeated_once_mfa_is_on(api):
    api.fail(ENABLE, "lost before")
    reads = iter([OFF, ON])
    answer = api.answer
    api.answer = lambda method, path, body: (
        (200, next(reads)) if path == ["user", "mfa"] else answer(method, path, body)
    )  # type: ignore[method-assign]
    result = perform(api, MODULE, state="enabled")
    assert result["failed"] and "the answer was lost, and MFA is on now." in result["msg"]
    assert posts(api) == ["enable"]


def test_a_start_that_nobody_answers_is_a_failure(api):
    api.fail(ENABLE, "lost before", times=99)
    result = perform(api, MODULE, state="enabled", retries=1)
    assert "gave no whole answer" in result["msg"]
    assert posts(api) == ["enable", "enable"]


@pytest.mark.parametrize("value", [None, "", 5], ids=["null", "empty", "number"])
@pytest.mark.parametrize("missing", ["secret", "otpauth_uri", "enrollment_id"])
def test_a_start_that_lacks_a_field_is_an_error(api, missing, value):
    api.fail(ENABLE, lambda data: {**data, missing: value})
    result = perform(api, MODULE, state="enabled")
    assert result["msg"].endswith(f"lacks the documented {missing}.")
    assert TOTP_SECRET not in str(result)
    assert posts(api) == ["enable"]


@pytest.mark.parametrize("query", ["&digits=8", "&period=60", "&algorithm=SHA256"])
def test_codes_of_another_kind_are_refused_before_they_are_taken_for_wrong(api, query):
    api.fail(ENABLE, lambda data: {**data, "otpauth_uri": data["otpauth_uri"] + query})
    result = perform(api, MODULE, state="enabled")
    assert f"codes of another kind ({query[1:]})" in result["msg"]
    assert posts(api) == ["enable"]


@pytest.mark.parametrize("query", ["&digits=6&period=30&algorithm=sha1", ""])
def test_codes_of_the_usual_kind(api, query):
    api.fail(ENABLE, lambda data: {**data, "otpauth_uri": data["otpauth_uri"] + query})
    assert perform(api, MODULE, state="enabled")["backup_codes"] == BACKUP_CODES


def test_a_secret_that_is_no_secret_is_an_error(api):
    api.fail(ENABLE, lambda data: {**data, "secret": "not base32!"})
    result = perform(api, MODULE, state="enabled")
    assert "the secret in the API's answer is no Base32 text" in result["msg"]
    assert "not base32!" not in str(result)


def test_a_verification_without_codes_is_a_success_with_a_warning(api):
    api.fail(VERIFY, lambda data: {"enabled": True})
    result = perform(api, MODULE, state="enabled")
    assert (result["secret"], result["backup_codes"], len(result["warnings"])) == (
        TOTP_SECRET,
        [],
        1,
    )


@pytest.mark.parametrize(
    ("second", "latency", "paused", "codes"),
    [
        pytest.param(29.5, 1, [], 2, id="ended-on-the-way"),
        pytest.param(10, 1, [], 1, id="in-the-middle"),
    ],
)
def test_a_code_at_the_end_of_its_half_minute_is_not_lost(api, second, latency, paused, codes):
    api.now += second - 2 * latency  # a read and the start come before
    api.latency = latency
    result = perform(api, MODULE, state="enabled")
    assert result["backup_codes"] == BACKUP_CODES
    assert len({body["code"] for body in api.bodies[1:]}) == codes
    assert api.pauses == paused


def test_a_code_that_is_refused_in_the_middle_of_its_half_minute_is_followed_by_the_next_one(api):
    """The clock of the host may be behind."""
    api.now += 10
    api.fail(VERIFY, "422 before")
    result = perform(api, MODULE, state="enabled")
    assert result["backup_codes"] == BACKUP_CODES
    assert api.pauses == [pytest.approx(20.1)]
    assert len({body["code"] for body in api.bodies[1:]}) == 2


def test_two_refusals_are_a_failure(api):
    api.fail(VERIFY, "422 before", times=9)
    result = perform(api, MODULE, state="enabled")
    assert "check the clock of the host" in result["msg"]
    assert posts(api) == ["enable", "verify", "verify"]
    assert not api.objects["user/mfa"]["enabled"]


def test_there_is_no_waiting_without_a_budget(api):
    api.fail(VERIFY, "422 before", times=9)
    assert perform(api, MODULE, state="enabled", retry_budget=0)["failed"]
    assert posts(api) == ["enable", "verify"]


def test_another_refusal_is_not_taken_for_a_wrong_code(api):
    api.fail(VERIFY, "404 before")
    result = perform(api, MODULE, state="enabled")
    assert (result["status"], api.pauses) == (404, [])
    assert "clock" not in result["msg"]


@pytest.mark.parametrize(
    "totp_secret",
    [TOTP_SECRET, TOTP_SECRET.lower(), " ".join([TOTP_SECRET[:16], TOTP_SECRET[16:]])],
    ids=["plain", "lower", "spaces"],
)
def test_disabled_by_secret(enrolled, totp_secret):
    result = perform_both(
        enrolled, MODULE, state="disabled", password=PASSWORD, totp_secret=totp_secret
    )
    assert (result["changed"], result["mfa"], result["msg"]) == (
        True,
        OFF,
        'mfa: enabled true -> false, methods ["totp"] -> []',
    )
    assert enrolled.bodies == [{"password": PASSWORD, "code": enrolled.codes()[0]}]
    again = perform(enrolled, MODULE, state="disabled")
    assert (again["changed"], again["msg"]) == (False, "no change")


def test_disabled_by_a_backup_code(enrolled):
    assert perform_both(
        enrolled, MODULE, state="disabled", password=PASSWORD, code=BACKUP_CODES[1]
    )["changed"]


def test_a_refused_code_that_was_given_is_not_sent_again(enrolled):
    result = perform(enrolled, MODULE, state="disabled", password=PASSWORD, code="000000")
    assert (result["status"], enrolled.writes, enrolled.pauses) == (422, [DISABLE], [])


def test_a_wrong_password_is_not_sent_again(enrolled):
    enrolled.fail(DISABLE, "422 before")
    with mock.patch(
        "unit.plugins.fake_api.error",
        lambda status, code: (status, {"code": "invalid_password", "message": "no"}),
    ):
        result = perform(
            enrolled, MODULE, state="disabled", password="wrong", totp_secret=TOTP_SECRET
        )
    assert (result["code"], enrolled.writes, enrolled.pauses) == ("invalid_password", [DISABLE], [])


@pytest.mark.parametrize(
    ("status", "code", "sent"),
    [
        (401, "unauthorized", 1),
        (401, "invalid_totp", 2),
        (403, "forbidden", 1),
        (403, "mfa_code_invalid", 2),
        (400, "bad_request", 2),
        (409, "invalid_code", 1),
    ],
)
def test_which_refusals_may_be_one_of_the_code(enrolled, status, code, sent):
    enrolled.fail(DISABLE, f"{status} before", times=9)
    with mock.patch(
        "unit.plugins.fake_api.error",
        lambda number, dummy_code: (number, {"code": code, "message": "no"}),
    ):
        result = perform(
            enrolled, MODULE, state="disabled", password=PASSWORD, totp_secret=TOTP_SECRET
        )
    assert (result["status"], enrolled.writes) == (status, [DISABLE] * sent)
    assert ("check api_key" in result["msg"]) is (code == "unauthorized")


def test_a_refused_verification_neither_changes_nor_tells_anything(api, tmp_path):
    api.fail(VERIFY, "422 before", times=9)
    result = perform(api, MODULE, state="enabled", secret_file=str(tmp_path / "mfa.json"))
    assert (result["failed"], result["changed"]) == (True, False)
    assert not {"secret", "otpauth_uri", "backup_codes"} & result.keys()


def test_a_refusal_that_quotes_secret_and_code_is_censored(api, tmp_path):
    code = api.codes()[0]
    api.fail(VERIFY, "422 before", times=9)
    with mock.patch(
        "unit.plugins.fake_api.error",
        lambda status, dummy_code: (
            status,
            {"code": "no", "message": f"{code} does not fit {TOTP_SECRET}"},
        ),
    ):
        result = perform(
            api, MODULE, state="enabled", secret_file=str(tmp_path / "mfa.json"), retry_budget=0
        )
    assert "******** does not fit ********" in result["msg"]


def test_refused_then_lost_then_done(enrolled):
    """The second attempt takes effect although its answer is lost, and the third is refused since MFA is off by then."""
    enrolled.now += 28.5
    enrolled.latency = 1
    enrolled.fail(DISABLE, "lost after", skip=1)
    assert (
        perform(enrolled, MODULE, state="disabled", password=PASSWORD, totp_secret=TOTP_SECRET)[
            "mfa"
        ]
        == OFF
    )
    assert enrolled.writes == [DISABLE] * 2


@pytest.mark.parametrize("path", [ENABLE, VERIFY])
def test_another_method_that_is_on_does_not_pass_for_this_one(api, path):
    api.objects["user/mfa"] = {"enabled": True, "methods": ["webauthn"]}
    answer = api.answer
    api.answer = lambda method, parts, body: (  # type: ignore[method-assign]
        (200, {"method": "totp", **api._enrollment()})
        if parts[-1] == "enable"
        else answer(method, parts, body)
    )
    api.fail(path, "lost before", times=99)
    result = perform(api, MODULE, state="enabled", retries=1)
    assert (result["failed"], result.get("warnings")) == (True, None)
    assert api.writes.count(path) == 2


def test_methods_that_are_null_are_none(api):
    api.objects["user/mfa"] = {"enabled": False, "methods": None}
    assert perform(api, MODULE, state="enabled")["mfa"]["methods"] == ["totp"]


def test_disabling_near_the_end_of_the_half_minute(enrolled):
    enrolled.now += 28.5
    enrolled.latency = 1
    assert (
        perform(enrolled, MODULE, state="disabled", password=PASSWORD, totp_secret=TOTP_SECRET)[
            "mfa"
        ]
        == OFF
    )
    assert enrolled.writes == [DISABLE] * 2


@pytest.mark.parametrize(("kind", "sent"), [("lost after", 1), ("lost before", 2)])
def test_a_lost_answer_to_disabling_is_settled_by_reading(enrolled, kind, sent):
    enrolled.fail(DISABLE, kind)
    assert (
        perform(enrolled, MODULE, state="disabled", password=PASSWORD, totp_secret=TOTP_SECRET)[
            "mfa"
        ]
        == OFF
    )
    assert enrolled.writes == [DISABLE] * sent


@pytest.mark.parametrize(
    "options",
    [{}, {"password": PASSWORD}, {"totp_secret": TOTP_SECRET}, {"code": "123456"}],
    ids=["nothing", "no-code", "no-password", "code-alone"],
)
@pytest.mark.parametrize("check_mode", [True, False], ids=["check", "run"])
def test_disabling_needs_a_password_and_a_code(enrolled, options, check_mode):
    result = perform(enrolled, MODULE, check_mode, state="disabled", **options)
    assert (
        result["msg"]
        == "MFA is enabled; password, and totp_secret or code, are needed to disable it."
    )
    assert enrolled.writes == []


@pytest.mark.parametrize(
    "options", [{}, {"password": PASSWORD, "code": "1"}], ids=["nothing", "not-needed"]
)
def test_disabling_what_is_off_needs_nothing(api, options):
    assert not perform_both(api, MODULE, state="disabled", **options)["changed"]


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        pytest.param({"totp_secret": "0189"}, "totp_secret is no Base32 text", id="secret"),
        pytest.param({"totp_secret": ""}, "totp_secret is empty", id="empty-secret"),
        pytest.param({"password": ""}, "password is empty", id="empty-password"),
        pytest.param({"code": ""}, "code is empty", id="empty-code"),
        pytest.param({"secret_file": "/tmp/"}, "secret_file must name a file", id="folder"),
    ],
)
def test_options_that_cannot_be_used(api, options, complaint):
    result = perform(api, MODULE, state="enabled", **options)
    assert complaint in result["msg"]
    assert api.log == []


@pytest.mark.parametrize("field", ["enabled", "methods"])
def test_a_field_that_the_api_does_not_tell(api, field):
    api.objects["user/mfa"] = {**ON}
    del api.objects["user/mfa"][field]
    assert f"lacks the field {field!r}" in perform(api, MODULE, state="enabled")["msg"]
    assert api.writes == []


def test_another_method_is_not_this_one(api):
    api.objects["user/mfa"] = {"enabled": True, "methods": ["webauthn"]}
    plan = perform(api, MODULE, check_mode=True, state="enabled")
    assert (plan["changed"], plan["mfa"]["methods"]) == (True, ["totp", "webauthn"])


def test_a_verification_without_effect(api):
    answer = api.answer
    api.answer = lambda method, path, body: (  # type: ignore[method-assign]
        (200, {"enabled": True, "backup_codes": BACKUP_CODES})
        if path[-1] == "verify"
        else answer(method, path, body)
    )
    result = perform(api, MODULE, state="enabled")
    assert 'shows no effect (enabled false -> true, methods [] -> ["totp"])' in result["msg"]
    assert result["secret"] == TOTP_SECRET


def test_codes_of_the_documented_secret():
    """RFC 6238 has codes for SHA-1 and the secret 12345678901234567890; the API's documentation shows a secret of 80 bits."""
    rfc = parse_totp_secret("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ", "secret")
    assert [rfc(now) for now in (59, 1111111109.9, 2000000000)] == ["287082", "081804", "279037"]
    assert len(parse_totp_secret("JBSWY3DPEHPK3PXP", "secret")(0)) == 6


def test_secret_file_path_is_kept(tmp_path: Path, api):
    """An earlier file is replaced on enrollment alone."""
    path = tmp_path / "mfa.json"
    path.write_text("old")
    perform(api, MODULE, state="disabled", secret_file=str(path))
    assert path.read_text() == "old"


@pytest.mark.parametrize("methods", [..., None, []], ids=["absent", "null", "empty"])
def test_methods_are_not_needed_while_mfa_is_off(api, methods):
    api.objects["user/mfa"]["methods"] = methods
    if methods is ...:
        del api.objects["user/mfa"]["methods"]
    assert perform_both(api, MODULE, state="enabled")["changed"]


@pytest.mark.parametrize("enabled", [True, 1, "true", "True"])
@pytest.mark.parametrize(
    "methods",
    [
        ["TOTP"],
        "totp",
        "sms, totp",
        [{"type": "totp", "id": 5}],
        [{"name": "Authenticator app"}],
        ["otp"],
    ],
    ids=str,
)
def test_a_status_of_another_shape_is_understood(api, enabled, methods):
    """Nothing is enrolled again, and a status that changes to it is what was asked for."""
    status = {"enabled": enabled, "methods": methods}
    answer = api.answer
    api.answer = lambda method, path, body: (  # type: ignore[method-assign]
        (200, status)
        if path == ["user", "mfa"] and api.objects["user/mfa"]["enabled"]
        else answer(method, path, body)
    )
    first, second = (perform(api, MODULE, state="enabled") for _run in range(2))
    assert (first.get("failed"), first["changed"]) == (None, True)
    assert (second.get("failed"), second["changed"]) == (None, False)
    assert first["mfa"] == status


def test_a_method_of_another_name_is_the_one_that_was_enrolled(api):
    """MFA was off, so whatever it is called, it is on by the only method that was verified."""
    answer = api.answer
    api.answer = lambda method, path, body: (  # type: ignore[method-assign]
        (200, {"enabled": True, "methods": ["software_token"]})
        if path == ["user", "mfa"] and api.objects["user/mfa"]["enabled"]
        else answer(method, path, body)
    )
    result = perform(api, MODULE, state="enabled")
    assert (result.get("failed"), result["backup_codes"]) == (None, BACKUP_CODES)


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        pytest.param("enabled", "disabled", "no boolean in enabled: 'disabled'", id="text"),
        pytest.param("enabled", None, "no boolean in enabled: None", id="null"),
        pytest.param("enabled", 2, "no boolean in enabled: 2", id="number"),
        pytest.param("enabled", {"totp": True}, "no boolean in enabled", id="object"),
        pytest.param("methods", [5], "no list of texts in methods", id="numbers"),
        pytest.param("methods", [{"id": "x"}], "no list of texts in methods", id="objects"),
        pytest.param("methods", {"totp": True}, "no list of texts in methods", id="map"),
    ],
)
@pytest.mark.parametrize("state", ["enabled", "disabled"])
def test_a_status_that_says_nothing_is_an_error(api, field, value, words, state):
    api.objects["user/mfa"] = {**ON, field: value}
    result = perform(api, MODULE, state=state, password=PASSWORD, totp_secret=TOTP_SECRET)
    assert result["failed"] and words in result["msg"]
    assert api.writes == []


@pytest.mark.parametrize(
    ("field", "value"),
    [
        pytest.param("backup_codes", [{"code": code, "used": False} for code in BACKUP_CODES]),
        pytest.param("backup_codes", "\n".join(BACKUP_CODES)),
        pytest.param("backup_codes", ", ".join(BACKUP_CODES)),
        pytest.param("backup_codes", " ".join(BACKUP_CODES)),
        pytest.param("backup_codes", {"codes": BACKUP_CODES}),
        pytest.param("recovery_codes", BACKUP_CODES),
        pytest.param("recoveryCodes", BACKUP_CODES),
        pytest.param("backup_codes_list", BACKUP_CODES),
    ],
)
@pytest.mark.parametrize("with_file", [True, False], ids=["file", "result"])
def test_backup_codes_in_another_form_are_kept(api, tmp_path, field, value, with_file):
    api.fail(VERIFY, lambda data: {"enabled": True, "backup_codes_remaining": 2, field: value})
    path = tmp_path / "mfa.json"
    options = {"secret_file": str(path)} if with_file else {}
    result = perform(api, MODULE, state="enabled", **options)
    assert "warnings" not in result
    kept = json.loads(path.read_text()) if with_file else result
    assert kept["backup_codes"] == BACKUP_CODES


def test_an_answer_without_codes_is_not_called_lost(api):
    api.fail(VERIFY, lambda data: {"enabled": True, "backup_codes_remaining": 2})
    result = perform(api, MODULE, state="enabled")
    assert result["warnings"] == [
        "MFA is enabled, but the API's answer has no backup codes: "
        "make new ones in the product's account settings."
    ]


def test_a_status_that_shows_the_enrollment_late(api):
    reads = iter([OFF, OFF, OFF, ON])
    answer = api.answer
    api.answer = lambda method, path, body: (  # type: ignore[method-assign]
        (200, next(reads)) if path == ["user", "mfa"] else answer(method, path, body)
    )
    result = perform(api, MODULE, state="enabled")
    assert (result.get("failed"), result["mfa"], posts(api)) == (None, ON, ["enable", "verify"])


def show_late(api: FakeApi, seconds: float) -> None:
    """Let the status show each write only after a time, and refuse a code that was used."""
    answer, states = api.answer, [(0.0, dict(api.objects["user/mfa"]))]

    def late(method: str, path: list[str], body: dict) -> tuple[int, object]:
        if path == ["user", "mfa"]:
            return 200, [status for at, status in states if at <= api.now - seconds or not at][-1]
        status, data = answer(method, path, body)
        if status == 409:
            message = "There is no enrollment with this id."
            return 404, {"error": {"code": "not_found", "message": message}}
        states.append((api.now, dict(api.objects["user/mfa"])))
        return status, data

    api.answer = late  # type: ignore[method-assign,assignment]


@pytest.mark.parametrize("with_file", [True, False], ids=["file", "result"])
@pytest.mark.parametrize("seconds", [0, 1.5, 4, 40])
@pytest.mark.parametrize("kind", ["lost after", "504 after"])
def test_a_lost_verification_is_looked_for_patiently(api, tmp_path, seconds, kind, with_file):
    path = tmp_path / "mfa.json"
    options = {"secret_file": str(path)} if with_file else {}
    show_late(api, seconds)
    api.fail(VERIFY, kind)
    result = perform(api, MODULE, state="enabled", **options)
    assert (json.loads(path.read_text()) if with_file else result)["secret"] == TOTP_SECRET
    if seconds > 5:
        place = str(path) if with_file else "this result"
        assert result["failed"] and "There is no enrollment" in result["msg"]
        assert result["msg"].endswith(f" MFA may be on by now. Its secret is in {place}.")
        return
    assert (result.get("failed"), result["mfa"], posts(api)) == (None, ON, ["enable", "verify"])
    assert "make new ones" in result["warnings"][0]


@pytest.mark.parametrize("seconds", [1.5, 4, 40])
def test_a_lost_answer_to_disabling_is_looked_for_patiently(enrolled, seconds):
    show_late(enrolled, seconds)
    enrolled.fail(DISABLE, "lost after")
    task = {"state": "disabled", "password": PASSWORD, "totp_secret": TOTP_SECRET}
    result = perform(enrolled, MODULE, **task)
    if seconds > 5:
        assert "MFA may be off by now." in result["msg"]
    else:
        assert (result.get("failed"), result["mfa"], enrolled.writes) == (None, OFF, [DISABLE])


def test_a_code_that_is_refused_after_a_lost_attempt_is_followed_by_the_next_one(api):
    api.fail(VERIFY, "lost before")
    api.fail(VERIFY, "422 before")
    result = perform(api, MODULE, state="enabled")
    assert result["backup_codes"] == BACKUP_CODES
    assert posts(api) == ["enable", "verify", "verify", "verify"]


@pytest.mark.parametrize(
    ("status", "options", "action"),
    [
        (OFF, {"state": "enabled"}, "enable"),
        (ON, {"state": "disabled", "password": PASSWORD, "code": "123456"}, "disable"),
    ],
    ids=["enable", "disable"],
)
def test_a_plan_says_what_is_meant_without_secrets(status, options, action):
    plan = MFA.plan(Mfa(status), {"method": "totp", **options})
    assert [change.action for change in plan.changes] == [action]
    text = json.dumps([change.to_data() for change in plan.changes])
    assert PASSWORD not in text and "123456" not in text


def test_where_the_secret_goes_is_a_question_to_the_plan():
    options = {"state": "enabled", "method": "totp", "secret_file": "/x/mfa"}
    plan = MFA.plan(Mfa(OFF), options)
    MFA.guard(plan, Mfa(OFF), options)
    with pytest.raises(RefusedPlan, match="the folder is gone; correct secret_file"):
        MFA.guard(plan, Mfa(OFF, _secret_file.Found("the folder is gone")), options)
