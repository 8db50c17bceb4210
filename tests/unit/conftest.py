# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Lets the tests import the collection from a plain checkout too, and what lies beside them.

ansible-test runs them from a tree of collections and needs the second alone; for tests of module_utils it hides the rest of ansible.
"""

from __future__ import annotations

import importlib.util
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

sys.path.insert(0, str(ROOT / "tests"))

if importlib.util.find_spec("ansible_collections") is None:
    tree = tempfile.TemporaryDirectory()  # removed when the tests end
    namespace = Path(tree.name) / "ansible_collections" / "planasonix"
    namespace.mkdir(parents=True)
    (namespace / "admin").symlink_to(ROOT)
    sys.path.insert(0, tree.name)

try:
    from ansible.plugins.loader import init_plugin_loader
    from ansible.utils.collection_loader import AnsibleCollectionConfig
except ImportError:
    pass
else:
    if AnsibleCollectionConfig.collection_finder is None:
        init_plugin_loader()
