"""A peer: Floe (Rust) ingesting the orders CSV with a schema, a unique key and rejected rows."""

import sys
import tempfile
import time
from pathlib import Path

import floe

csv = Path(sys.argv[1]).resolve()
home = tempfile.mkdtemp()
Path(home, "in").mkdir()
Path(home, "in", csv.name).symlink_to(csv)
config = f"""
version: "0.2"
metadata: {{project: bench}}
report: {{path: {home}/report}}
entities:
  - name: orders
    source:
      format: csv
      path: {home}/in
      options: {{header: true, separator: ",", null_values: [""], glob: "*.csv"}}
      cast_mode: coerce
    sink:
      accepted: {{format: parquet, path: {home}/out/accepted/}}
      rejected: {{format: csv, path: {home}/out/rejected/}}
    policy: {{severity: reject}}
    schema:
      columns:
        - {{name: order_id, type: string, nullable: false, unique: true}}
        - {{name: customer_id, type: string, nullable: true}}
        - {{name: amount, type: number, nullable: false}}
        - {{name: currency, type: string, nullable: true}}
        - {{name: event_ts, type: datetime, nullable: true}}
        - {{name: note, type: string, nullable: true}}
"""
Path(home, "floe.yml").write_text(config)
start = time.time()
outcome = floe.run(f"{home}/floe.yml")
print(outcome.summary["results"])
print(f"{time.time() - start:.2f}")
