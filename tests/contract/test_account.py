# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""MFA and the password: what cannot be read back, or changes with the time of day, has beats of its own."""

from __future__ import annotations

import json
import stat
from pathlib import Path

from ansible_runs import Ansible, begin, in_beats, told, ways_against
from simulator.process import Simulator

PASSWORD = "hunter2-not-really"
MFA = "planasonix.admin.planasonix_mfa"
BEATS = ("check", "run", "again", "disable_check", "disable", "disable_again", "enable_returned")
WRITES = {
    "run": ["/api/user/mfa/enable", "/api/user/mfa/verify"],
    "disable": ["/api/user/mfa/disable"],
    "enable_returned": ["/api/user/mfa/enable", "/api/user/mfa/verify"],
}


def test_mfa(simulator: Simulator, ansible: Ansible, make: str, tmp_path: Path) -> None:
    """Enrolled into a file, disabled with the secret that is in it, enrolled again into the result."""
    outcomes = {}
    ways = ways_against(make)  # an enrollment waits for the next code, up to half a minute
    for way in ways:
        file = tmp_path / f"{way}.json"
        begin(simulator, make)
        enable = {"state": "enabled", "secret_file": str(file)}
        disable = {
            "state": "disabled",
            "password": PASSWORD,
            "totp_secret": f"{{{{ (lookup('file', {str(file)!r}) | from_json).secret }}}}",
        }
        beats = []
        for beat in BEATS:
            arguments = (
                {"state": "enabled"}
                if beat == "enable_returned"
                else disable
                if beat.startswith("disable")
                else enable
            )
            beats.append(
                (beat, beat in WRITES, {MFA: arguments, "check_mode": beat.endswith("check")})
            )
        outcomes[way] = outcome = ansible.run(way, *in_beats(simulator, beats))
        for beat in BEATS:
            assert not outcome[beat]["failed"], outcome[beat]["msg"]
            assert outcome[beat]["changed"] is not beat.endswith("again"), beat
            paths = [
                row["path"] for row in outcome[f"{beat}_log"]["answer"] if row["method"] != "GET"
            ]
            assert paths == WRITES.get(beat, []), beat
        for check, run in (("check", "run"), ("disable_check", "disable")):
            assert all(outcome[check][key] == outcome[run][key] for key in ("msg", "diff"))
            assert outcome[check]["mfa"] == {
                name: value
                for name, value in outcome[run]["mfa"].items()
                if name != "backup_codes_remaining"
            }
        kept = json.loads(file.read_text())
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert set(kept) == {"secret", "otpauth_uri", "backup_codes"}
        assert len(kept["backup_codes"]) == outcome["run"]["mfa"]["backup_codes_remaining"]
        assert not kept.keys() & outcome["run"].keys()
        state = simulator.state()["mfa"]
        assert {name: outcome["enable_returned"][name] for name in ("secret", "backup_codes")} == {
            name: state[name] for name in ("secret", "backup_codes")
        }
        found = [
            *state["backup_codes"],
            state["secret"],
            kept["secret"],
            *kept["backup_codes"],
            PASSWORD,
            ansible.key,
        ]
        assert not any(secret in outcome.output for secret in found)
    for beat in BEATS[:-1]:
        assert (
            len(
                {
                    json.dumps(outcomes[way][beat], sort_keys=True).replace(
                        str(tmp_path / way), "FILE"
                    )
                    for way in ways
                }
            )
            == 1
        )


def test_a_lost_verification_that_took_effect(
    plain_simulator: Simulator, plain_ansible: Ansible
) -> None:
    plain_simulator.fault("drop_after", method="POST", path="/api/user/mfa/verify", times=1)
    outcome = plain_ansible.run("worker", {MFA: {"state": "enabled"}, "register": "result"})
    result = outcome["result"]
    assert (result["failed"], result["changed"], result["backup_codes"]) == (False, True, []), (
        outcome.output
    )
    assert result["secret"] == plain_simulator.state()["mfa"]["secret"]
    assert result["secret"] not in outcome.output
    assert "MFA is enabled, but the answer with its backup codes was lost" in told(
        outcome.output
    ), "the warning is seen although the result is not"


def test_password(simulator: Simulator, ansible: Ansible, way: str) -> None:
    password = "planasonix.admin.planasonix_password"
    change = {"current_password": PASSWORD, "new_password": "a-new-long-password"}
    outcome = ansible.run(
        way,
        {password: change, "check_mode": True, "register": "check"},
        {password: change, "register": "run"},
        {password: {**change, "current_password": "a-new-long-password"}, "register": "equal"},
        {password: change, "register": "wrong"},
        arguments=("-vvv", "--diff"),
    )
    assert [outcome[name]["changed"] for name in ("check", "run", "equal", "wrong")] == [
        True,
        True,
        False,
        False,
    ], outcome.output
    assert all(outcome["check"][key] == outcome["run"][key] for key in ("msg", "diff"))
    assert (outcome["wrong"]["failed"], outcome["wrong"]["status"], outcome["wrong"]["code"]) == (
        True,
        422,
        "invalid_password",
    )
    assert simulator.state()["password"] == "a-new-long-password"
    assert [row["status"] for row in simulator.writes()] == [204, 422]
    assert not any(secret in outcome.output for secret in change.values())
