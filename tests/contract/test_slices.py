# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One audit in slices, by ansible-runner as Automation Controller runs it: jobs at the same time, each with a part of one inventory, and their reports merged.

The playbooks are those of the guide.
"""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible_runs import environment_in
from simulator.process import Simulator

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "docsite" / "rst" / "guide_scale.rst"
SHARED = "/var/lib/planasonix-audits"
"""The folder that all nodes share, in the guide."""

FORMATS = ("html", "json", "xml", "csv", "md", "sarif")
TIMES = re.compile(r"20\d\d-\d\d-\d\d[T ]\d\d:\d\d(:\d\d)?")


def playbook(name: str) -> str:
    """A playbook of the guide."""
    (found,) = re.findall(
        rf"^\.\. code-block:: yaml\+jinja\n\n((?:    # {re.escape(name)}\n)(?:    .*\n|\n)+)",
        GUIDE.read_text(encoding="utf-8"),
        re.MULTILINE,
    )
    return textwrap.dedent(found)


@dataclass
class Runner:
    """What the private data folders of ansible-runner share: the inventory and the playbooks. Each job has its own, since its command line is a file there."""

    folder: Path

    def start(
        self, job: str, name: str, *arguments: str, **variables: Any
    ) -> subprocess.Popen[str]:
        """Start a job; Controller gives its number to it as a variable, and takes away its home."""
        home = self.folder.parent / f"home-{job}"
        home.mkdir()
        private = self.private(job)
        private.mkdir()
        for name_shared in ("inventory", "project"):
            (private / name_shared).symlink_to(self.folder / name_shared)
        given = shlex.join([*arguments, "-e", json.dumps({"awx_job_id": int(job), **variables})])
        options = ["--ident", job, "-p", name, "--cmdline", given]
        path = f"{Path(sys.executable).parent}:/usr/bin:/bin"
        # pylint: disable-next=consider-using-with
        return subprocess.Popen(
            [str(Path(sys.executable).parent / "ansible-runner"), "run", str(private), *options],
            env=environment_in(home, {"HOME": str(home), "PATH": path}),
            cwd=home,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def private(self, job: str) -> Path:
        return self.folder / f"job-{job}"

    def stats(self, job: str) -> dict[str, Any]:
        """What a job hands on to those that follow it in a workflow."""
        for path in (self.private(job) / "artifacts" / job / "job_events").glob("*.json"):
            event = json.loads(path.read_text(encoding="utf-8"))
            if event["event"] == "playbook_on_stats":
                found: dict[str, Any] = event["event_data"]["artifact_data"]
                return found
        raise AssertionError(f"Job {job} has no end")


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Exit status and output of a job that is over."""
    output = process.communicate(timeout=300)[0]
    return process.returncode, output


def report(folder: Path, form: str) -> str:
    """A report without times."""
    return TIMES.sub("TIME", (folder / f"planasonix-audit.{form}").read_text(encoding="utf-8"))


def test_slices_merge_to_the_report_of_one_audit(
    plain_simulator: Simulator, tmp_path: Path
) -> None:
    simulator = plain_simulator
    simulator.reset(5)
    first, second, third, *_others = slugs = simulator.slugs
    simulator.set_state(
        second, session_timeout={"idle_timeout_minutes": 5, "absolute_timeout_minutes": 60}
    )
    hosts: dict[str, dict[str, Any]] = {
        slug: {"planasonix_api_key": key} for slug, key in zip(slugs, simulator.keys, strict=True)
    }
    # One is not readable, one has a waiver, one has a stricter control than the others, and one has another control besides.
    hosts[slugs[-1]]["planasonix_api_key"] = "plnx_live_dead"
    hosts[first]["org_baseline_waivers"] = [
        {"id": "PLX-SES-1", "reason": "Until the move", "expires": "2999-12-31"}
    ]
    hosts[second]["org_baseline_overrides"] = {
        "PLX-SES-1": {"require": {"idle_timeout_minutes": {"at_most": 1}}}
    }
    hosts[third]["org_baseline_extra_controls"] = [
        {
            "id": "OWN-1",
            "severity": "low",
            "resource": "log_retention",
            "require": {"run_logs_days": {"at_least": 1}},
        }
    ]
    shared = {
        "planasonix_api_url": simulator.url,
        "ansible_python_interpreter": "{{ ansible_playbook_python }}",
    }
    runner = Runner(tmp_path / "private")
    for name in ("inventory", "project"):
        (runner.folder / name).mkdir(parents=True)
    inventory = {"all": {"vars": shared, "children": {"organizations": {"hosts": hosts}}}}
    (runner.folder / "inventory" / "inventory.json").write_text(
        json.dumps(inventory), encoding="utf-8"
    )
    audits = tmp_path / "audits"
    for name in ("slice.yml", "merge.yml"):
        (runner.folder / "project" / name).write_text(
            playbook(name).replace(SHARED, str(audits)), encoding="utf-8"
        )

    slices = {"11": "organizations[0:1]", "12": "organizations[2:]"}
    running = [
        runner.start(job, "slice.yml", "--limit", limit, awx_workflow_job_id=7)
        for job, limit in slices.items()
    ]
    for process in running:
        status, output = ended(process)
        assert status == 0, output
    assert runner.stats("11") == runner.stats("12") == {"audit_folder": str(audits / "7")}
    parts = [
        json.loads((audits / "7" / job / "planasonix-audit.json").read_text(encoding="utf-8"))
        for job in slices
    ]
    assert [[organization["name"] for organization in part["organizations"]] for part in parts] == [
        sorted(slugs[:2]),
        sorted(slugs[2:]),
    ]

    simulator.clear_log()
    status, output = ended(runner.start("13", "merge.yml", **runner.stats("11")))
    assert status == 2, output
    assert simulator.log() == [], "nothing is asked of the API"
    whole, lost, mild = (tmp_path / name for name in ("whole", "lost", "mild"))
    merging = {**runner.stats("11"), "compliance_audit_formats": ["json"]}
    running = [
        runner.start("14", "planasonix.admin.audit", compliance_audit_report_dir=str(whole)),
        # A slice that left no report is missed. In check mode the report is written as an audit writes it.
        runner.start(
            "15",
            "merge.yml",
            "--check",
            **{**merging, "compliance_audit_reports": str(audits / "7" / "11" / "*.json")},
            compliance_audit_report_dir=str(lost),
        ),
        runner.start(
            "16",
            "merge.yml",
            **merging,
            compliance_audit_fail_on="never",
            compliance_audit_report_dir=str(mild),
        ),
    ]
    ends = [ended(process) for process in running]
    assert [end[0] for end in ends] == [2, 2, 0], ends[2][1]
    assert sorted(path.name for path in (audits / "7").iterdir() if path.is_file()) == sorted(
        path.name for path in whole.iterdir()
    )
    for form in FORMATS:
        assert report(audits / "7", form) == report(whole, form)
    merged, left, mildly = (
        json.loads((folder / "planasonix-audit.json").read_text(encoding="utf-8"))
        for folder in (audits / "7", lost, mild)
    )
    assert merged["time"] == max(part["time"] for part in parts)
    assert (
        "1 organization could not be read" in merged["verdict"]["msg"]
        and "3 organizations could not be read" in left["verdict"]["msg"]
    )
    assert merged["verdict"]["msg"] in output
    assert mildly == {**merged, "verdict": mildly["verdict"]}
