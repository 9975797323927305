"""The classic: a Glue-style PySpark script (cast, enrich, append partitioned Parquet) and one pass of DQ aggregates."""

import sys
import tempfile
import time

start = time.time()
from pyspark.sql import SparkSession  # noqa: E402
from pyspark.sql import functions as F  # noqa: E402, N812

spark = (
    SparkSession.builder.master("local[2]")
    .config("spark.ui.enabled", "false")
    .config("spark.driver.memory", "4g")
    .getOrCreate()
)
out = tempfile.mkdtemp() + "/curated"
df = spark.read.csv(sys.argv[1], header=True)
df = (
    df.withColumn("amount", F.col("amount").cast("double"))
    .withColumn("pipeline_run_id", F.lit("bench"))
    .withColumn("dataset_name", F.lit("orders"))
    .withColumn("processed_at_utc", F.current_timestamp())
    .withColumn("currency", F.upper("currency"))
    .withColumn("event_ts", F.to_timestamp("event_ts"))
    .withColumn("ingest_date", F.to_date("processed_at_utc"))
)
df.write.mode("append").format("parquet").partitionBy("ingest_date").save(out)
print(
    spark.read.parquet(out)
    .agg(F.count("*"), F.count("order_id"), F.countDistinct("order_id"), F.min("amount"), F.max("event_ts"))
    .collect()
)
print(f"{time.time() - start:.2f}")
