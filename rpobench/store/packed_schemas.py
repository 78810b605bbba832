"""The columns of the three files of a packed set."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rpobench.store.predictions import TRUE_ONLY_FIELDS

if TYPE_CHECKING:
    import pyarrow

# Left out of a line where null; other fields stand there as null.
OPTIONAL_FIELDS = ("kept", "cut", "unanswered", "seconds", *TRUE_ONLY_FIELDS)

FRAME_INDEX = "__index_level_"  # how the columns begin that pandas adds for the index of a data frame


def run_schema() -> pyarrow.Schema:
    """The columns of `runs.parquet`."""
    import pyarrow as pa

    return pa.schema(
        [
            ("run", pa.string()),
            ("task", pa.string()),
            ("method", pa.string()),
            ("version", pa.string()),
            ("base_model", pa.string()),
            ("data", pa.string()),
            ("world", pa.int64()),
            ("split", pa.string()),
            ("limit", pa.int64()),
            ("profiles", pa.string()),
            ("seed", pa.int64()),
            ("fit", pa.string()),
            ("n", pa.int64()),
            ("value", pa.float64()),
            ("main_metric", pa.string()),
            ("spec", pa.string()),
            ("environment", pa.string()),
            ("result", pa.string()),
        ]
    )


def fit_schema() -> pyarrow.Schema:
    """The columns of `fits.parquet`."""
    import pyarrow as pa

    return pa.schema(
        [
            ("fit", pa.string()),
            ("method", pa.string()),
            ("base_model", pa.string()),
            ("spec", pa.string()),
            ("cost", pa.string()),
            ("logs", pa.string()),
            ("seed", pa.int64()),
        ]
    )


def prediction_schema() -> pyarrow.Schema:
    """The columns of `predictions.parquet`."""
    import pyarrow as pa

    return pa.schema(
        [
            ("run", pa.string()),
            ("example_id", pa.string()),
            ("text", pa.string()),
            ("raw", pa.string()),
            ("draft", pa.string()),
            ("evidence", pa.list_(pa.string())),
            ("cut", pa.int64()),
            ("failure", pa.string()),
            ("trajectory", pa.string()),
            ("unanswered", pa.bool_()),
            ("kept", pa.bool_()),
            ("permanent", pa.bool_()),
            ("truncated", pa.bool_()),
            ("seconds", pa.float64()),
            ("calls", pa.int64()),
            ("prompt_tokens", pa.int64()),
            ("completion_tokens", pa.int64()),
            ("answer_seconds", pa.float64()),
            ("cached", pa.int64()),
            ("dollars", pa.float64()),
        ]
    )


def fit_to_schema(table: pyarrow.Table, schema: pyarrow.Schema) -> pyarrow.Table:
    """Give a table the columns and types of today; pandas writes other types of text, and an index.

    Args:
        table: A file of a packed set as it was read.
        schema: The columns that it is to have.

    Returns:
        The same rows. A column that came later than the set is null in them.

    Raises:
        ValueError: A column is missing, there twice, or unknown.
        pyarrow.ArrowException: A column is of another type.
    """
    import pyarrow

    for name in table.column_names:
        if name not in schema.names and not name.startswith(FRAME_INDEX):
            raise ValueError(f"{name!r} is unknown")

    for field in schema:
        count = table.column_names.count(field.name)
        if count == 0 and field.name in OPTIONAL_FIELDS:  # a set that was packed earlier lacks the newest columns
            table = table.append_column(field, pyarrow.nulls(table.num_rows, field.type))
        elif count != 1:
            raise ValueError(f"{field.name!r} is there {count} times")

    return table.select(schema.names).cast(schema)
