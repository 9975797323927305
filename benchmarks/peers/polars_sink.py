"""The practical limit, second opinion: the same with Polars' streaming engine."""

import sys
import tempfile
import time

import polars as pl

start = time.time()
(
    pl.scan_csv(sys.argv[1], infer_schema=False)
    .with_columns(
        pl.col("amount").cast(pl.Float64, strict=False),
        pl.col("currency").str.to_uppercase(),
        pl.col("event_ts").str.to_datetime("%Y-%m-%dT%H:%M:%SZ", strict=False),
    )
    .sink_parquet(tempfile.mkdtemp() + "/out.parquet", compression="zstd")
)
print(f"{time.time() - start:.2f}")
