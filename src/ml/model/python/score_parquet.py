"""Scores the rows of a Parquet file with an MLflow model of any flavor, and writes them as Parquet.

    python score_parquet.py PLAN.json

The plan: {"model", "input", "output", "features": [...], "keep": [...], "task", "classes": [...], "threshold"}. The output has
the columns of "keep", then prediction, score and, for multiclass, probabilities (JSON text by class).
"""

import json
import sys

ROWS = 100_000


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        plan = json.load(file)
    try:
        import mlflow.pyfunc
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        sys.exit(f"the trainer's environment cannot score: {error}; add mlflow to its requirements")

    model = mlflow.pyfunc.load_model(plan["model"])
    source = pq.ParquetFile(plan["input"])
    kept = pa.schema([source.schema_arrow.field(name) for name in plan["keep"]])
    own = [pa.field("prediction", pa.float64() if plan["task"] == "regression" else pa.string()), pa.field("score", pa.float64())]
    if plan["task"] == "multiclass":
        own.append(pa.field("probabilities", pa.string()))
    schema = pa.schema(list(kept) + own)
    with pq.ParquetWriter(plan["output"], schema) as writer:
        for batch in source.iter_batches(batch_size=ROWS):
            table = pa.Table.from_batches([batch])
            given = model.predict(table.select(plan["features"]).to_pandas())
            columns = outputs(given, table.num_rows, plan)
            arrays = [table.column(name) for name in plan["keep"]]
            arrays += [pa.array(columns[field.name], type=field.type, from_pandas=True) for field in own]
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema))


def outputs(given, rows, plan):
    """What a model gives, whatever its form, as columns by name."""
    import numpy as np
    import pandas as pd

    task, classes = plan["task"], plan["classes"]
    if isinstance(given, pd.DataFrame) and "prediction" in given.columns:
        prediction = given["prediction"].to_numpy()
        score = given["score"].to_numpy() if "score" in given.columns else None
        probabilities = list(given["probabilities"]) if "probabilities" in given.columns else None
        if task != "regression":
            prediction = [text(value) for value in prediction]
        return finish(prediction, score, probabilities, rows, task)
    values = np.asarray(given)
    if len(values) != rows:
        sys.exit(f"the model gave {len(values)} predictions for {rows} rows")
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if task == "regression":
        return finish(values.astype(float), None, None, rows, task)
    if values.ndim == 2:
        if values.shape[1] != len(classes):
            sys.exit(f"the model gave {values.shape[1]} probabilities a row, there are {len(classes)} classes")
        best = values.argmax(axis=1)
        if task == "classification":
            score = values[:, 1].astype(float)
            return finish([classes[int(s >= plan["threshold"])] for s in score], score, None, rows, task)
        texts = [json.dumps({name: float(p) for name, p in zip(classes, row)}, ensure_ascii=False) for row in values]
        return finish([classes[i] for i in best], values[np.arange(rows), best].astype(float), texts, rows, task)
    if task == "classification" and np.issubdtype(values.dtype, np.floating):
        score = values.astype(float)
        if ((score >= 0) & (score <= 1)).all():
            return finish([classes[int(s >= plan["threshold"])] for s in score], score, None, rows, task)
    return finish([text(value) for value in values], None, None, rows, task)


def finish(prediction, score, probabilities, rows, task):
    if len(prediction) != rows:
        sys.exit(f"the model gave {len(prediction)} predictions for {rows} rows")
    empty = [None] * rows
    return {"prediction": prediction, "score": empty if score is None or task == "regression" else score,
            "probabilities": probabilities or empty}


def text(value):
    """A class as Quern writes it: true and false, whole numbers without a point."""
    import numpy as np

    if isinstance(value, (bool, np.bool_)):
        return "true" if value else "false"
    if isinstance(value, (float, np.floating)) and float(value).is_integer():
        return str(int(value))
    return str(value)


if __name__ == "__main__":
    main()
