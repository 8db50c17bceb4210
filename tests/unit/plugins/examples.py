# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How Hypothesis looks for examples in tests of properties."""

from __future__ import annotations

from hypothesis import HealthCheck, Phase, settings


def examples(number: int) -> settings:
    """The same examples in each run. A failure is shown as small as it gets, and not explained, which would take longer than to find it."""
    phases = (Phase.generate, Phase.shrink)
    return settings(
        max_examples=number,
        derandomize=True,
        database=None,
        deadline=None,
        phases=phases,
        suppress_health_check=[HealthCheck.too_slow],
    )
