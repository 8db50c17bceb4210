# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a test may switch while the simulator runs."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from .variants import REGISTRY


def _known(name: str) -> str:
    if name not in REGISTRY:
        raise ValueError(f"there is no variant {name!r}")
    return name


VariantName = Annotated[str, AfterValidator(_known)]


class Options(BaseModel):
    """Behaviour of the deployment that is simulated. README.md describes each option."""

    model_config = ConfigDict(extra="forbid", strict=True)

    read_only: bool = False
    latency_ms: Annotated[int, Field(ge=0)] = 0
    page_size: Annotated[int, Field(ge=1)] | None = None
    cursor_repeats: bool = False
    rate_limit: Annotated[str, Field(pattern=r"^[1-9][0-9]*/[1-9][0-9]*$")] | None = None
    retry_after: Literal["seconds", "date", "none"] = "seconds"
    error_format: Literal["nested", "flat", "html"] = "nested"
    mask_config: Literal["off", "mask", "drop"] = "off"
    refuse_channel_config: bool = False
    refuse_duplicate_networks: bool = False
    rule_replacement: Literal["keep_id", "change_id", "leave_old"] = "keep_id"
    shared_key_prefix: bool = False
    client_addresses: dict[str, str] = {}
    allowlist_exempt: list[str] = []
    variants: dict[str, list[VariantName]] = {}
