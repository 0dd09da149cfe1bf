"""Says what MLflow's own client finds in a file store.

    python Tests/Scripts/read_mlruns.py lightning_logs/mlruns

Made with mlflow-skinny 3.17, which reads file stores only when MLFLOW_ALLOW_FILE_STORE is set.
"""

import os
import pathlib
import sys

os.environ["MLFLOW_ALLOW_FILE_STORE"] = "true"
from mlflow.tracking import MlflowClient  # noqa: E402

client = MlflowClient(tracking_uri=pathlib.Path(sys.argv[1]).absolute().as_uri())
for experiment in client.search_experiments():
    for run in client.search_runs([experiment.experiment_id]):
        print(experiment.name, run.info.run_name, run.info.status, run.data.params, run.data.tags)
        for name in run.data.metrics:
            print(" ", name, [(m.step, m.value) for m in client.get_metric_history(run.info.run_id, name)])
