"""How many workers of which type a job run gets, from the size of what it reads.

One DPU is 4 vCPU and 16 GB. Worker types of Spark jobs
(https://docs.aws.amazon.com/glue/latest/dg/worker-types.html):

======  ====  =====  =======  =======
type    DPU   vCPU   memory   disk
======  ====  =====  =======  =======
G.1X    1     4      16 GB    94 GB
G.2X    2     8      32 GB    138 GB
G.4X    4     16     64 GB    256 GB
G.8X    8     32     128 GB   512 GB
======  ====  =====  =======  =======
"""

from __future__ import annotations

from dataclasses import dataclass

from lake_pipeline.errors import UsageError, did_you_mean

DPUS = {"G.1X": 1.0, "G.2X": 2.0, "G.4X": 4.0, "G.8X": 8.0}
# What Glue has besides: for prices of runs that others sized. R types count in memory-optimised M-DPUs.
OTHER_DPUS = {
    "G.025X": 0.25,
    "Standard": 1.0,
    "G.12X": 12.0,
    "G.16X": 16.0,
    "R.1X": 1.0,
    "R.2X": 2.0,
    "R.4X": 4.0,
    "R.8X": 8.0,
    "Z.2X": 2.0,
}
FLEX_TYPES = ("G.1X", "G.2X")  # FLEX runs on no others
GIB = 1024**3


@dataclass(frozen=True)
class Workers:
    """So many workers of a type; on Spark one of them is the driver."""

    type: str
    number: int

    @property
    def dpus(self) -> float:
        """What they cost per hour, in DPUs."""
        return self.number * (DPUS | OTHER_DPUS)[self.type]

    def __str__(self) -> str:
        return f"{self.number} x {self.type}"


@dataclass(frozen=True)
class Limits:
    """What sizing may choose from.

    min_workers, max_workers: of one run, driver included; Glue takes no fewer than 2.
    types: the worker types that may be used, in any order.
    bytes_per_dpu: input (as stored) that one DPU is given; its memory is 8 times the default.
    files_per_dpu: files that one DPU is given, because small files cost requests, not bytes.
    """

    min_workers: int = 2
    max_workers: int = 20
    types: tuple[str, ...] = ("G.1X", "G.2X", "G.4X", "G.8X")
    bytes_per_dpu: int = 2 * GIB
    files_per_dpu: int = 500

    def __post_init__(self) -> None:
        if not 2 <= self.min_workers <= self.max_workers:
            raise UsageError(
                f"min_workers is {self.min_workers} and max_workers {self.max_workers}; "
                "it must be 2 ≤ min_workers ≤ max_workers."
            )
        if self.bytes_per_dpu < 1 or self.files_per_dpu < 1:
            raise UsageError("bytes_per_dpu and files_per_dpu must be 1 or more.")
        if not self.types:
            raise UsageError(f"No worker type is allowed; there are {', '.join(DPUS)}.")
        for name in self.types:
            if name not in DPUS:
                raise UsageError(
                    f'"{name}" is not a worker type that can be chosen by size; there are {", ".join(DPUS)}.'
                    + did_you_mean(name, DPUS)
                )


def size_for(size: int, files: int = 1, limits: Limits | None = None) -> Workers:
    """The workers for `size` bytes in so many files: the smallest type whose number stays in the limits.

    Never fewer DPUs for more bytes or more files; beyond the limits, as many of the largest type as allowed.

    >>> str(size_for(512 * 1024**2)), str(size_for(30 * GIB, 14)), str(size_for(100 * GIB, 14))
    ('2 x G.1X', '16 x G.1X', '14 x G.4X')
    >>> str(size_for(1000 * GIB, 14, Limits(max_workers=10, types=("G.1X", "G.2X"))))
    '10 x G.2X'
    """
    limits = limits or Limits()
    if size < 0 or files < 0:
        raise UsageError(f"There are no {size} bytes in {files} files.")
    dpus = max(-(-size // limits.bytes_per_dpu), -(-files // limits.files_per_dpu), 1)
    types = sorted(limits.types, key=DPUS.__getitem__)
    for name in types:
        number = max(limits.min_workers, -(-dpus // int(DPUS[name])) + 1)  # one of them is the driver
        if number <= limits.max_workers:
            return Workers(name, number)
    return Workers(types[-1], limits.max_workers)
