"""Scores a model that Quern trained: the loader module of its MLflow python_function flavor.

predict() takes a DataFrame of the raw columns and gives what Quern's own tables of predictions hold:
  classification  prediction (the class as text), score (probability of the positive class)
  multiclass      prediction, score (probability of the predicted class), probabilities (JSON text by class)
  regression      prediction
Missing values may be None, NaN or pd.NA; categories that training had not seen count as missing.
"""

import json
import os

import numpy as np
import pandas as pd
import xgboost as xgb

FORMAT = 1


def _load_pyfunc(path):
    return QuernModel(path)


class QuernModel:
    def __init__(self, path):
        with open(os.path.join(path, "features.json"), encoding="utf-8") as file:
            self.spec = json.load(file)
        if self.spec.get("format") != FORMAT:
            raise ValueError(f"features.json is of format {self.spec.get('format')}, this loader reads {FORMAT}")
        self.features = self.spec["features"]
        self._encoders = [_encoder(feature) for feature in self.features]
        self._types = ["c" if feature.get("categories") else "q" for feature in self.features]
        self._booster = xgb.Booster()
        self._booster.load_model(os.path.join(path, self.spec["model_file"]))

    def predict(self, model_input, params=None):
        frame = model_input if isinstance(model_input, pd.DataFrame) else pd.DataFrame(model_input)
        raw = self._scores(frame)
        classes = self.spec["classes"]
        task = self.spec["task"]
        if task == "regression":
            return pd.DataFrame({"prediction": raw.astype("float64")}, index=frame.index)
        if task == "classification":
            score = raw.astype("float64")
            prediction = np.where(score >= self.spec["threshold"], classes[1], classes[0]).astype(object)
            return pd.DataFrame({"prediction": prediction, "score": score}, index=frame.index)
        scores = raw.astype("float64").reshape(len(frame), len(classes))
        best = scores.argmax(axis=1)
        texts = [json.dumps({name: float(p) for name, p in zip(classes, row)}, ensure_ascii=False) for row in scores]
        return pd.DataFrame({"prediction": np.array(classes, dtype=object)[best],
                             "score": scores[np.arange(len(frame)), best],
                             "probabilities": texts}, index=frame.index)

    def _scores(self, frame):
        missing = [feature["name"] for feature in self.features if feature["name"] not in frame.columns]
        if missing:
            raise ValueError("the columns are missing: " + ", ".join(missing))
        if len(frame) == 0:
            return np.empty(0, dtype=np.float32)
        codes = np.empty((len(frame), len(self.features)), dtype=np.float32)
        for i, (feature, encode) in enumerate(zip(self.features, self._encoders)):
            codes[:, i] = encode(frame[feature["name"]])
        rows = xgb.DMatrix(codes, missing=np.nan, feature_types=self._types, enable_categorical=True)
        return self._booster.predict(rows, validate_features=False)


def _numbers(column):
    """As 64-bit floats, whatever missing is written as."""
    values = column.astype(object)
    return values.where(column.notna(), np.nan).astype("float64").to_numpy()


def _encoder(feature):
    name = feature["name"]

    def number(column):
        values = _numbers(column)
        with np.errstate(over="ignore"):
            narrow = values.astype(np.float32)
        if np.isinf(narrow).any():
            raise ValueError(f"column '{name}' holds a value that is infinite or beyond what 32-bit floats hold")
        return narrow

    def text(column):
        return column.astype(object).map(codes).astype("float64").to_numpy()

    def category(column):
        values = _numbers(column)
        at = np.minimum(np.searchsorted(known, values), len(known) - 1)
        return np.where(known[at] == values, at, np.nan)

    categories = feature.get("categories")
    if categories is None:
        return number
    if not categories:
        return lambda column: np.nan
    if feature["type"] == "text":
        codes = {value: float(code) for code, value in enumerate(categories)}
        return text
    known = np.array(categories, dtype="float64")
    return category
