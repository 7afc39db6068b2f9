"""Judge: how good a linear classifier on these features is, by scikit-learn."""

import argparse
import json
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

parser = argparse.ArgumentParser()
parser.add_argument("features", type=Path)
given = parser.parse_args()

held = np.load(given.features)
features, labels, in_test = held["features"], held["labels"], held["in_test"]
head = make_pipeline(StandardScaler(), LogisticRegression(C=0.003, max_iter=300))
if in_test.any():
    right = head.fit(features[~in_test], labels[~in_test]).predict(features[in_test])
    right = right == labels[in_test]
else:
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    right = cross_val_predict(head, features, labels, cv=folds) == labels
print(json.dumps({"n_right": int(right.sum()), "n": len(right)}))
