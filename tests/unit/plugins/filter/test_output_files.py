# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Names of files that a run leaves, and folders that may not outlast it."""

from __future__ import annotations

import os
import tempfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.planasonix.admin.plugins.filter import output_files
from ansible_collections.planasonix.admin.plugins.filter.output_files import (
    file_name,
    output_folder,
)

HOSTS = st.text(st.characters(), max_size=300) | st.lists(
    st.sampled_from(["/", "..", "%", "%2F", "a", ".yml", "\\", "\x1b"]), max_size=200
).map("".join)


@pytest.mark.parametrize(
    "name", ["acme", "acme-analytics", "acme.example.com", "Zürich", "a b", "10.0.0.1", "a:b", "a~"]
)
def test_a_plain_name_stays_as_it_is(name):
    assert file_name(name) == name


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("acme/eu", "acme%2Feu"),
        ("../evil", "%2E.%2Fevil"),
        ("/etc/passwd", "%2Fetc%2Fpasswd"),
        (".", "%2E"),
        ("..", "%2E."),
        ("a%2Fb", "a%252Fb"),
        ("a\x1b[31m\nb\x00", "a%1B[31m%0Ab%00"),
        ("a\x85", "a%C2%85"),
        ("a\ud83d", "a%ED%A0%BD"),
        ("a\\b", "a%5Cb"),
        ("", "%"),
    ],
)
def test_a_name_stays_in_its_folder(name, expected):
    assert file_name(name) == expected


@given(HOSTS)
def test_every_name_is_one_that_file_systems_take(name):
    found = file_name(name)
    assert 0 < len(f"{found}.yml.12345678.2026-11-24@16:48:04~".encode()) <= 255
    assert "/" not in found and found.isprintable() is name.isprintable() or "%" in found
    assert os.path.normpath(f"/folder/{found}") == f"/folder/{found}"


@given(HOSTS, HOSTS)
def test_two_hosts_never_share_a_file(one, other):
    assert (file_name(one) == file_name(other)) is (one == other)


def test_long_names_that_begin_alike_differ():
    one, other = (f"{'a' * 300}{end}" for end in "xy")
    assert file_name(one) != file_name(other)
    assert file_name(file_name(one)) != file_name(one)


@pytest.fixture
def displayed(monkeypatch, tmp_path):
    """Warnings; the run was started in a folder that lasts, outside of AWX."""
    for name in ("AWX_PRIVATE_DATA_DIR", "AWX_ISOLATED_DATA_DIR"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "project").mkdir()
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    monkeypatch.chdir(tmp_path / "project")
    warnings: list[str] = []
    monkeypatch.setattr(output_files.Display, "warning", lambda self, text: warnings.append(text))
    return warnings


def test_a_folder_of_a_project_lasts(displayed, tmp_path):
    found = output_folder("./snapshots", "planasonix_snapshot_dir", warn=True)
    assert found == {"path": str(tmp_path / "project" / "snapshots"), "problem": ""}
    assert displayed == []


@pytest.mark.parametrize(
    ("place", "reason"),
    [
        ("AWX_PRIVATE_DATA_DIR", "AWX_PRIVATE_DATA_DIR is set"),
        ("AWX_ISOLATED_DATA_DIR", "AWX_ISOLATED_DATA_DIR is set"),
        ("", "it was started below {temporary}"),
    ],
)
def test_a_relative_folder_in_a_copy_of_the_project(
    displayed, monkeypatch, tmp_path, place, reason
):
    temporary = tmp_path / "temporary"
    if place:
        monkeypatch.setenv(place, "/runner")
    else:
        (temporary / "project").mkdir()
        monkeypatch.chdir(temporary / "project")
    problem = output_folder("./snapshots", "planasonix_snapshot_dir")["problem"]
    assert problem == (
        "The folder ./snapshots may be deleted when this run ends: it is relative, and the run "
        f"may use a temporary copy of the project ({reason.format(temporary=temporary)}). "
        "Set planasonix_snapshot_dir to an absolute folder."
    )
    assert displayed == []
    assert output_folder("./snapshots", "planasonix_snapshot_dir", warn=True)["problem"] == problem
    assert displayed == [problem]
    for folder in ("/srv/snapshots", "~/snapshots"):
        assert output_folder(folder, "planasonix_snapshot_dir")["problem"] == ""


@pytest.mark.parametrize("variable", ["AWX_PRIVATE_DATA_DIR", "AWX_ISOLATED_DATA_DIR"])
@pytest.mark.parametrize("folder", ["{}/project/snap", "{}", "{}/x/../project", "~/snap", "link/x"])
def test_an_absolute_folder_in_a_copy_of_the_project(
    displayed, monkeypatch, tmp_path, variable, folder
):
    """Such as playbook_dir gives. The variable of a job may name the folder by a link."""
    job = tmp_path / "job"
    job.mkdir()
    (tmp_path / "link").symlink_to(job)
    monkeypatch.setenv(variable, str(tmp_path / "link"))
    monkeypatch.setenv("HOME", str(job))
    folder = folder.format(job).replace("link", str(tmp_path / "link"))
    assert output_folder(folder, "planasonix_snapshot_dir")["problem"] == (
        f"The folder {folder} may be deleted when this run ends: it is below {job} ({variable}). "
        f"Set planasonix_snapshot_dir to a folder outside of {job}."
    )
    lasting = str(tmp_path / "jobs")
    assert output_folder(lasting, "planasonix_snapshot_dir")["problem"] == ""


def test_an_absolute_folder_in_the_temporary_folder(displayed, monkeypatch, tmp_path):
    project = tmp_path / "temporary" / "job" / "project"
    inside, outside = str(project / "snapshots"), str(tmp_path / "temporary" / "snapshots")
    # Started elsewhere, a user who names it in full means it.
    assert output_folder(inside, "planasonix_snapshot_dir")["problem"] == ""
    project.mkdir(parents=True)
    monkeypatch.chdir(project)
    assert output_folder(inside, "planasonix_snapshot_dir")["problem"] == (
        f"The folder {inside} may be deleted when this run ends: it is below {project} "
        f"(the folder of the run). Set planasonix_snapshot_dir to a folder outside of {project}."
    )
    assert output_folder(outside, "planasonix_snapshot_dir")["problem"] == ""
