# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Legal variants of the documented API, which a test chooses for each organization by name."""

from __future__ import annotations

from . import answers, channels, effects, lists, normalization, wire
from .exchange import KINDS, REGISTRY, Variant, choose

__all__ = [
    "KINDS",
    "REGISTRY",
    "Variant",
    "answers",
    "channels",
    "choose",
    "effects",
    "lists",
    "normalization",
    "wire",
]
