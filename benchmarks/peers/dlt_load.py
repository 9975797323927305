"""A peer: dlt loading the orders CSV to Parquet (second argument: duckdb or pandas reader)."""

import os
import sys
import tempfile
import time
from pathlib import Path

home = tempfile.mkdtemp()
os.environ["DESTINATION__FILESYSTEM__BUCKET_URL"] = f"file://{home}/out"
os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"
import dlt  # noqa: E402
from dlt.sources.filesystem import filesystem, read_csv, read_csv_duckdb  # noqa: E402

path = Path(sys.argv[1]).resolve()
files = filesystem(bucket_url=f"file://{path.parent}", file_glob=path.name)
reader = sys.argv[2] if len(sys.argv) > 2 else "duckdb"
rows = files | (
    read_csv_duckdb(use_pyarrow=True, chunk_size=200_000)
    if reader == "duckdb"
    else read_csv(chunksize=200_000)
)
pipeline = dlt.pipeline("orders", destination="filesystem", dataset_name="raw", pipelines_dir=f"{home}/p")
start = time.time()
pipeline.run(rows.with_name("orders"), write_disposition="replace", loader_file_format="parquet")
print(f"{time.time() - start:.2f}")
