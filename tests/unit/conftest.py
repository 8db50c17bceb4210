# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Lets the tests import the collection from a plain checkout too, and what lies beside them.

ansible-test runs them from a tree of collections and needs the second alone.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parents[2]

sys.path.insert(0, str(ROOT / "tests"))

if importlib.util.find_spec("ansible_collections") is None:
    for name, path in {
        "ansible_collections": [],
        "ansible_collections.planasonix": [],
        "ansible_collections.planasonix.admin": [str(ROOT)],
    }.items():
        package = ModuleType(name)
        package.__path__ = path
        sys.modules[name] = package
