# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every module that manages something goes through the same beats, in both ways, against servers of two makes."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_runs import WAYS, Ansible, begin
from cases import CASES, Case
from simulator.process import Simulator

BEATS = ("check", "run", "again", "less_check", "less", "less_again", "invalid_check", "invalid")
SHORT = BEATS[:3]
"""As a module, of what differs from other modules in its table alone: a module's start is slow."""


def beats(case: Case, simulator: Simulator, names: tuple[str, ...]) -> list[dict[str, Any]]:
    """The tasks: the log is emptied before each beat and kept after it, and no write is let through where none may be."""
    arguments = {"check": case.arguments, "run": case.arguments, "again": case.arguments, "invalid": case.invalid, "invalid_check": case.invalid}
    control = f"http://127.0.0.1:{simulator.port}/_simulator"
    tasks: list[dict[str, Any]] = []
    for beat in names:
        tasks += [
            {"control": {"url": f"{control}/options", "body": {"read_only": beat not in ("run", "less")}}},
            {"control": {"url": f"{control}/log/clear", "body": {}}},
            {f"planasonix.admin.{case.module}": arguments.get(beat, case.less), "check_mode": beat.endswith("check"), "diff": True, "register": beat},
            {"control": {"url": f"{control}/log"}, "register": f"{beat}_log"},
        ]
    return tasks


def writes(log: dict[str, Any]) -> list[str]:
    return [f"{row['method']} {row['path']}" for row in log["answer"] if row["method"] != "GET"]


def stable(value: Any, case: Case) -> Any:
    """The value without what only the server can give, at any depth."""
    if isinstance(value, dict):
        return {key: stable(item, case) for key, item in value.items() if key not in (*case.assigned, "secret", "delivery", "request_id", "superseded")}
    if isinstance(value, list):
        return [stable(item, case) for item in value]
    return value


def like(predicted: Any, made: Any) -> Any:
    """What was made, without the defaults of the server that a prediction leaves out."""
    if isinstance(predicted, dict) and isinstance(made, dict):
        return {key: like(predicted[key], made[key]) for key in made if key in predicted}
    if isinstance(predicted, list) and isinstance(made, list) and len(predicted) == len(made):
        return [like(*pair) for pair in zip(predicted, made, strict=True)]
    return made


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.module)
def test_beats(case: Case, simulator: Simulator, ansible: Ansible, make: str) -> None:
    outcomes = {}
    # Which way a task runs and which server it meets are independent.
    for way in WAYS if make == "documented" else WAYS[:1]:
        names = SHORT if way == "module" and case.returns in ("log_retention", "profile") else BEATS
        begin(simulator, make)
        simulator.set_state(**case.state)
        outcomes[way] = outcome = ansible.run(way, *beats(case, simulator, names))
        assert simulator.violations() == [], outcome.output
        assert set(names) <= set(outcome.results), outcome.output

        for check, run in (("check", "run"), ("less_check", "less"))[: len(names) // 3]:
            assert outcome[check]["changed"], outcome.output
            assert outcome[run]["changed"], outcome.output
            assert writes(outcome[f"{check}_log"]) == []
            assert writes(outcome[f"{run}_log"]) != []
            for key in ("diff", "msg"):
                assert outcome[check][key] == outcome[run][key]
            assert outcome[run]["msg"] != "no change"
            predicted, made = stable(outcome[check][case.returns], case), stable(outcome[run][case.returns], case)
            assert predicted == like(predicted, made)
        for again, run in (("again", "run"), ("less_again", "less"))[: len(names) // 3]:
            assert (outcome[again]["changed"], outcome[again]["msg"]) == (False, "no change"), outcome.output
            assert writes(outcome[f"{again}_log"]) == []
            assert outcome[again][case.returns] == outcome[run][case.returns]
            assert outcome[again]["diff"]["before"] == outcome[again]["diff"]["after"]
        for beat in names[6:]:
            assert outcome[beat]["failed"]
            assert case.complaint in outcome[beat]["msg"]
            assert "Traceback" not in str(outcome[beat])
            assert writes(outcome[f"{beat}_log"]) == []
        assert "the-canary-of-a-secret" not in outcome.output + str([outcome[beat] for beat in names])
    for beat in names if len(outcomes) == 2 else ():
        assert stable(outcomes["worker"][beat], case) == stable(outcomes["module"][beat], case)
