# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a packed module carries, and what the filters load."""

from __future__ import annotations

import importlib
import inspect
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest
from ansible.executor import module_common
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar

COLLECTION = "ansible_collections.planasonix.admin.plugins"
FILTERS = Path(__file__).resolve().parents[3] / "plugins" / "filter"
SETTING = {"_runner", "_singletons", "_resource", "_plan", "_fields", "_texts", "_errors"}
"""Files that manage a setting."""
CLIENT = {"_client", "_transport", "_answers", "_paging"}
"""Files that send its requests."""
IMPORT_ALL = """
import importlib, sys
tree, *names = sys.argv[1:]
sys.path.insert(0, tree)
for name in names:
    importlib.import_module(name)
print(*sorted(sys.modules), sep="\\n")
"""


@pytest.fixture
def pack(monkeypatch: pytest.MonkeyPatch) -> t.Callable[[str], set[str]]:
    """Pack a module as Ansible does; returns the files of ``module_utils`` that it carries."""
    carried: set[str] = set()
    find_files = module_common.recursive_finder

    def note_files(name: str, module: str, data: bytes, archive: t.Any, *more: t.Any) -> t.Any:
        found = find_files(name, module, data, archive, *more)
        carried.update(Path(path).stem for path in archive.namelist() if "planasonix" in path)
        return found

    def pack(name: str) -> set[str]:
        options: dict[str, t.Any] = {
            "module_name": f"planasonix.admin.{name}",
            "module_path": importlib.import_module(f"{COLLECTION}.modules.{name}").__file__,
            "module_args": {},
            "templar": Templar(loader=DataLoader()),
            "task_vars": {"ansible_python_interpreter": sys.executable},
        }
        accepted = inspect.signature(module_common.modify_module).parameters
        assert set(options) <= set(accepted)
        module_common.modify_module(**options)
        return carried - {"__init__", name}

    monkeypatch.setattr(module_common, "recursive_finder", note_files)
    return pack


def test_a_packed_module_carries_only_what_it_needs(pack):
    carried = pack("planasonix_session_timeout")
    assert {"_runner", "_singletons", "_client"} <= carried <= SETTING | CLIENT


def test_the_filters_load_neither_requests_nor_pyotp():
    """Each worker that templates loads the filters."""
    names = [f"{COLLECTION}.filter.{path.stem}" for path in FILTERS.glob("*.py")]
    package = importlib.import_module("ansible_collections.planasonix.admin")
    tree = Path(next(iter(package.__path__))).parents[2]
    command = [sys.executable, "-c", IMPORT_ALL, str(tree), *names]
    loaded = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    assert len(names) > 5 and set(names) <= set(loaded)
    assert {"requests", "urllib3", "pyotp"}.isdisjoint(loaded)
    assert f"{COLLECTION}.module_utils._client" not in loaded
