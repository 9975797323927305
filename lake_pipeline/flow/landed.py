"""The landed files of a partition, as rules on files see them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from lake_pipeline.dqdl import FileInfo
from lake_pipeline.flow.state import Manifest, ObjectReceipt
from lake_pipeline.storage.objects import ObjectStore


def landed_files(
    manifest: Manifest, receipts: Iterable[ObjectReceipt], raw: ObjectStore
) -> tuple[FileInfo, ...]:
    """The objects of a manifest that count, readable or not, with the checksums that their receipts know.

    ``modified`` is when the object landed (UTC), ``sha256`` that of its bytes as they landed.
    """
    digests = {receipt.id: receipt.sha256 for receipt in receipts}
    return tuple(
        FileInfo(
            uri=raw.uri(entry.key),
            size=entry.size,
            modified=datetime.fromisoformat(entry.modified),
            sha256=digests.get(entry.id) or None,
            etag=entry.etag or None,
        )
        for entry in manifest.sources
    )
