"""The practical limit of many small files: DuckDB reads them by a glob and writes one zstd Parquet file."""

import sys
import tempfile
import time

import duckdb

columns = {c: "VARCHAR" for c in ("order_id", "customer_id", "amount", "currency", "event_ts", "note")}
out = tempfile.mkdtemp() + "/out.parquet"
con = duckdb.connect()
con.sql("SET preserve_insertion_order = false")
start = time.time()
con.sql(f"""COPY (SELECT order_id, customer_id, try_cast(amount AS DOUBLE) amount, upper(currency) currency,
        try_cast(event_ts AS TIMESTAMPTZ) event_ts, note, filename
        FROM read_csv('{sys.argv[1]}/*.csv', columns = {columns}, header = true, filename = true))
        TO '{out}' (COMPRESSION zstd)""")
print(f"{time.time() - start:.2f}")
