# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every module that manages something goes through the same beats, in both ways, against servers of two makes."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
from ansible_runs import MAKES, Ansible, Outcome, in_beats, ways_against
from cases import CASES, Case
from simulator.process import Simulator

Runs = Callable[[str, str], Outcome]
BEATS = ("check", "run", "again", "less_check", "less", "less_again", "invalid_check", "invalid")
PACKED = ("check", "run", "again", "less", "invalid")
"""As a module: its start is slow, and of the others no more depends on where a module runs."""
SHORT = PACKED[:3]
"""As a module, of what differs from other modules in its table alone."""


def beats_of(case: Case, way: str) -> tuple[str, ...]:
    if way == "worker":
        return BEATS
    return SHORT if case.returns in ("log_retention", "profile") else PACKED


def tasks_of(case: Case, way: str, simulator: Simulator, make: str) -> list[dict[str, Any]]:
    """A case from a fresh API on; what is registered has the case's name before the beat's."""
    control = f"http://127.0.0.1:{simulator.port}/_simulator"
    begin_with = [
        {"url": f"{control}/reset", "body": {}},
        {"url": f"{control}/options", "body": MAKES[make]},
        {"url": f"{control}/state/acme-analytics", "method": "PUT", "body": case.state},
    ]
    arguments = {
        "check": case.arguments,
        "run": case.arguments,
        "again": case.arguments,
        "invalid": case.invalid,
        "invalid_check": case.invalid,
    }
    beats = [
        (
            f"{case.returns}_{beat}",
            beat in ("run", "less"),
            {
                f"planasonix.admin.{case.module}": arguments.get(beat, case.less),
                "check_mode": beat.endswith("check"),
                "diff": True,
            },
        )
        for beat in beats_of(case, way)
    ]
    return [
        *in_beats(simulator, beats, begin_with),
        {"control": {"url": f"{control}/violations"}, "register": f"{case.returns}_violations"},
    ]


@pytest.fixture(scope="module")
def runs(
    running_simulators: dict[str, Simulator], tmp_path_factory: pytest.TempPathFactory
) -> Runs:
    """All cases in one run of Ansible for each way and make of server."""

    @cache
    def run(way: str, make: str) -> Outcome:
        simulator = running_simulators[make]
        ansible = Ansible(tmp_path_factory.mktemp("beats"), simulator.url, simulator.keys[0])
        return ansible.run(
            way, *(task for case in CASES for task in tasks_of(case, way, simulator, make))
        )

    return run


def writes(log: dict[str, Any]) -> list[str]:
    return [f"{row['method']} {row['path']}" for row in log["answer"] if row["method"] != "GET"]


def stable(value: Any, case: Case) -> Any:
    """The value without what only the server can give, at any depth."""
    if isinstance(value, dict):
        return {
            key: stable(item, case)
            for key, item in value.items()
            if key not in (*case.assigned, "secret", "delivery", "request_id", "superseded")
        }
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
def test_beats(case: Case, make: str, runs: Runs) -> None:
    outcomes = {}
    for way in ways_against(make):
        names = beats_of(case, way)
        whole = runs(way, make)
        outcomes[way] = outcome = {
            name.removeprefix(f"{case.returns}_"): result
            for name, result in whole.results.items()
            if name.startswith(f"{case.returns}_")
        }
        assert set(names) <= set(outcome), whole.output
        assert outcome["violations"]["answer"] == [], whole.output

        for run in ("run", "less") if "less" in names else ("run",):
            assert outcome[run]["changed"], whole.output
            assert writes(outcome[f"{run}_log"]) != []
            assert outcome[run]["msg"] != "no change"
        for check, run in (
            (("check", "run"), ("less_check", "less"))
            if "less_check" in names
            else (("check", "run"),)
        ):
            assert outcome[check]["changed"], whole.output
            assert writes(outcome[f"{check}_log"]) == []
            for key in ("diff", "msg", "plan"):
                assert outcome[check][key] == outcome[run][key]
            predicted, made = (
                stable(outcome[check][case.returns], case),
                stable(outcome[run][case.returns], case),
            )
            assert predicted == like(predicted, made)
        for again, run in (
            (("again", "run"), ("less_again", "less"))
            if "less_again" in names
            else (("again", "run"),)
        ):
            assert (outcome[again]["changed"], outcome[again]["msg"]) == (False, "no change"), (
                whole.output
            )
            assert writes(outcome[f"{again}_log"]) == []
            assert outcome[again][case.returns] == outcome[run][case.returns]
            assert outcome[again]["diff"]["before"] == outcome[again]["diff"]["after"]
        for beat in [beat for beat in names if beat.startswith("invalid")]:
            assert outcome[beat]["failed"]
            assert case.complaint in outcome[beat]["msg"]
            assert "Traceback" not in str(outcome[beat])
            assert writes(outcome[f"{beat}_log"]) == []
        assert "the-canary-of-a-secret" not in whole.output + str([outcome[beat] for beat in names])
    for beat in names if len(outcomes) == 2 else ():
        assert stable(outcomes["worker"][beat], case) == stable(outcomes["module"][beat], case)
