"""What the shapes of stored files share: frozen, validated once, and unknown fields stay in them."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict


class Stored(BaseModel):
    """What the stored shapes share: frozen, and unknown fields stay in them."""

    model_config = ConfigDict(frozen=True, extra="allow", populate_by_name=True)

    def to_json(self) -> dict[str, Any]:
        """Return the content as it stands on disk: without the fields that the file lacks, with those unknown here."""
        return self.model_dump(by_alias=True, exclude_unset=True)
