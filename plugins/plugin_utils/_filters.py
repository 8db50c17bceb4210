# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Errors of filters, as Ansible displays them.

This file is private to the collection; it can change at any time.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from ansible.errors import AnsibleFilterError

from ansible_collections.planasonix.admin.plugins.module_utils._errors import InvalidOption
from ansible_collections.planasonix.admin.plugins.module_utils._texts import visible


@contextlib.contextmanager
def filter_errors(invalid: str, malformed: str = "") -> Iterator[None]:
    """Raise errors of the block as errors of a filter.

    :param invalid: Prefix of the message about an invalid input.
    :param malformed: Prefix of the message about an input of another shape.
    :raises AnsibleFilterError: if the block raises an error.
    """
    try:
        yield
    except InvalidOption as error:
        raise AnsibleFilterError(f"{invalid}{visible(error.message)}") from None
    except (AttributeError, KeyError, TypeError) as error:
        if not malformed:
            raise
        raise AnsibleFilterError(f"{malformed}; {error} is missing or wrong.") from None
