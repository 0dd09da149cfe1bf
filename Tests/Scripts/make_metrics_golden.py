"""Makes the golden numbers of MetricsTests with torchmetrics and scikit-learn.

    python Tests/Scripts/make_metrics_golden.py Tests/MetricsTests/Golden

Made with torchmetrics 1.9 and scikit-learn 1.9. Scores are multiples of 1/512, so that there are ties, and none is at a
threshold of the binned curves. Where both libraries know a number they must agree here.
"""

import pathlib
import sys
import warnings

import numpy as np
import sklearn.metrics as sk
import torch
import torchmetrics.functional as tm
import torchmetrics.functional.classification as tc

from golden import Archive

warnings.simplefilter("ignore")
archive = Archive()
source = np.random.RandomState(20241124)
ROWS, CLASSES, LABELS, BINS = 397, 5, 4, 101


def put(name, value, *others):
    for other in others:
        assert np.allclose(np.asarray(value, dtype=float), np.asarray(other, dtype=float), atol=1e-6), (name, value, other)
    archive.put(name, torch.as_tensor(np.asarray(value, dtype=np.float64)), "f8")


def scores(*shape):
    return (2 * source.randint(0, 256, shape) + 1) / 512


def binary():
    labels = source.randint(0, 2, ROWS)
    values = np.clip(np.round((scores(ROWS) * 0.7 + labels * 0.3) * 256 - 0.5), 0, 255) * 2 + 1
    values = values / 512
    archive.put("binary/scores", torch.tensor(values), "f8")
    archive.put("binary/labels", torch.tensor(labels), "i8")
    p, t = torch.tensor(values), torch.tensor(labels)
    for threshold in [0.5, 0.3]:
        decided = (values > threshold).astype(int)
        put(f"binary/accuracy/{threshold}", sk.accuracy_score(labels, decided), tc.binary_accuracy(p, t, threshold))
        put(f"binary/precision/{threshold}", sk.precision_score(labels, decided), tc.binary_precision(p, t, threshold))
        put(f"binary/recall/{threshold}", sk.recall_score(labels, decided), tc.binary_recall(p, t, threshold))
        put(f"binary/f1/{threshold}", sk.f1_score(labels, decided), tc.binary_f1_score(p, t, threshold))
        put(f"binary/confusion/{threshold}", sk.confusion_matrix(labels, decided), tc.binary_confusion_matrix(p, t, threshold))
    put("binary/auroc", sk.roc_auc_score(labels, values), tc.binary_auroc(p, t))
    put("binary/averagePrecision", sk.average_precision_score(labels, values), tc.binary_average_precision(p, t))
    put("binary/auroc/bins", tc.binary_auroc(p.double(), t, thresholds=BINS))
    put("binary/averagePrecision/bins", tc.binary_average_precision(p.double(), t, thresholds=BINS))


def multiclass():
    # The last class is neither a label nor a decision; the one before it is never a label.
    labels = source.randint(0, CLASSES - 2, ROWS)
    values = scores(ROWS, CLASSES)
    values[np.arange(ROWS), labels] += 0.25
    values[:, CLASSES - 1] = 1 / 1024
    archive.put("multiclass/scores", torch.tensor(values), "f8")
    archive.put("multiclass/labels", torch.tensor(labels), "i8")
    p, t = torch.tensor(values), torch.tensor(labels)
    decided = values.argmax(1)
    for average in ["micro", "macro", "weighted", "none"]:
        mine = None if average == "none" else average
        classes = list(range(CLASSES)) if mine is None else None
        put(f"multiclass/accuracy/{average}", tc.multiclass_accuracy(p, t, CLASSES, average=average))
        for name, left, right in [
            ("precision", sk.precision_score, tc.multiclass_precision), ("recall", sk.recall_score, tc.multiclass_recall),
            ("f1", sk.f1_score, tc.multiclass_f1_score),
        ]:
            put(f"multiclass/{name}/{average}", left(labels, decided, average=mine, labels=classes, zero_division=0),
                right(p, t, CLASSES, average=average))
    for top in [2, 3]:
        # scikit-learn takes the higher class of equal scores first; this takes the lower one. Without ties they agree.
        apart = values - np.arange(CLASSES) * 1e-9
        put(f"multiclass/accuracy/top{top}", sk.top_k_accuracy_score(labels, apart, k=top, labels=list(range(CLASSES))),
            tc.multiclass_accuracy(torch.tensor(apart), t, CLASSES, average="micro", top_k=top))
    put("multiclass/confusion", sk.confusion_matrix(labels, decided, labels=range(CLASSES)),
        tc.multiclass_confusion_matrix(p, t, CLASSES))
    # One class against the rest, over the classes that are labels.
    present = range(CLASSES - 2)
    aurocs = [sk.roc_auc_score(labels == c, values[:, c]) for c in present]
    precisions = [sk.average_precision_score(labels == c, values[:, c]) for c in present]
    support = [(labels == c).sum() for c in present]
    put("multiclass/auroc/none", aurocs)
    put("multiclass/averagePrecision/none", precisions)
    put("multiclass/auroc/macro", np.mean(aurocs))
    put("multiclass/averagePrecision/macro", np.mean(precisions))
    put("multiclass/auroc/weighted", np.average(aurocs, weights=support))
    put("multiclass/averagePrecision/weighted", np.average(precisions, weights=support))
    hot = np.eye(CLASSES)[labels]
    put("multiclass/auroc/micro", sk.roc_auc_score(hot.ravel(), values.ravel()))
    put("multiclass/averagePrecision/micro", sk.average_precision_score(hot.ravel(), values.ravel()))


def multilabel():
    labels = (source.uniform(size=(ROWS, LABELS)) < [0.5, 0.2, 0.7, 0.4]).astype(int)
    values = np.clip(np.round((scores(ROWS, LABELS) * 0.6 + labels * 0.4) * 256 - 0.5), 0, 255) * 2 + 1
    values = values / 512
    archive.put("multilabel/scores", torch.tensor(values), "f8")
    archive.put("multilabel/labels", torch.tensor(labels), "i8")
    p, t = torch.tensor(values), torch.tensor(labels)
    decided = (values > 0.5).astype(int)
    for average in ["micro", "macro", "weighted", "none"]:
        mine = None if average == "none" else average
        put(f"multilabel/accuracy/{average}", tc.multilabel_accuracy(p, t, LABELS, average=average))
        for name, left, right in [
            ("precision", sk.precision_score, tc.multilabel_precision), ("recall", sk.recall_score, tc.multilabel_recall),
            ("f1", sk.f1_score, tc.multilabel_f1_score),
        ]:
            put(f"multilabel/{name}/{average}", left(labels, decided, average=mine), right(p, t, LABELS, average=average))
        put(f"multilabel/auroc/{average}", sk.roc_auc_score(labels, values, average=mine),
            tc.multilabel_auroc(p, t, LABELS, average=average))
        put(f"multilabel/averagePrecision/{average}", sk.average_precision_score(labels, values, average=mine),
            tc.multilabel_average_precision(p, t, LABELS, average=average))
        put(f"multilabel/auroc/{average}/bins", tc.multilabel_auroc(p, t, LABELS, average=average, thresholds=BINS))
        put(f"multilabel/averagePrecision/{average}/bins",
            tc.multilabel_average_precision(p, t, LABELS, average=average, thresholds=BINS))
    put("multilabel/confusion", sk.multilabel_confusion_matrix(labels, decided), tc.multilabel_confusion_matrix(p, t, LABELS))


def regression():
    targets = source.normal(3, 2, ROWS)
    predictions = targets + source.normal(0, 1, ROWS)
    archive.put("regression/predictions", torch.tensor(predictions), "f8")
    archive.put("regression/targets", torch.tensor(targets), "f8")
    p, t = torch.tensor(predictions), torch.tensor(targets)
    put("regression/squared", sk.mean_squared_error(targets, predictions), tm.mean_squared_error(p, t))
    put("regression/root", sk.root_mean_squared_error(targets, predictions), tm.mean_squared_error(p, t, squared=False))
    put("regression/absolute", sk.mean_absolute_error(targets, predictions), tm.mean_absolute_error(p, t))
    put("regression/r2", sk.r2_score(targets, predictions), tm.r2_score(p, t))


def perplexity():
    logits = torch.tensor(source.normal(0, 2, (ROWS, 3, 7)))
    labels = torch.tensor(source.randint(0, 7, (ROWS, 3)))
    labels[::5, 1] = -100
    archive.put("perplexity/logits", logits, "f8")
    archive.put("perplexity/labels", labels, "i8")
    put("perplexity/value", tm.perplexity(logits, labels, ignore_index=-100))


if __name__ == "__main__":
    for make in [binary, multiclass, multilabel, regression, perplexity]:
        make()
    archive.write(pathlib.Path(sys.argv[1]), "metrics")
