"""Models in MLflow: logged, registered, found again. MLflow is imported only when one of these is called."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from contextlib import redirect_stderr
from dataclasses import dataclass
from importlib.metadata import version as installed
from io import StringIO
from typing import TYPE_CHECKING, Any

from bifrost_assets.features.daily import FEATURES
from bifrost_core.environment import QUIET, mlflow_artifacts, mlflow_tracking_uri
from bifrost_core.errors import BifrostError
from bifrost_core.settings import Settings

if TYPE_CHECKING:
    from mlflow import MlflowClient

CHAMPION = "champion"
TRUSTED_TYPES = ["numpy.dtype"]  # what skops, the format without pickle's arbitrary code, may rebuild


class RegistryError(BifrostError):
    """MLflow cannot be reached, or does not have the model."""


@dataclass(frozen=True, slots=True)
class Registered:
    """A model version in MLflow and the run that logged it."""

    version: str
    run_id: str


def tracking_uri(settings: Settings) -> str:
    """MLFLOW_TRACKING_URI if it is set (`bifrost env` sets it), else the address that the settings make."""
    return os.environ.get("MLFLOW_TRACKING_URI") or mlflow_tracking_uri(settings)


def client(settings: Settings) -> MlflowClient:
    """An MLflow client on the project's store."""
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    import mlflow
    from mlflow import MlflowClient

    for noisy in ("mlflow", "alembic"):
        logging.getLogger(noisy).setLevel(logging.ERROR)
    uri = tracking_uri(settings)
    mlflow.set_tracking_uri(uri)
    mlflow.set_registry_uri(uri)
    return MlflowClient(uri, uri)


def publish(
    settings: Settings,
    name: str,
    model: Any,
    parameters: Mapping[str, Any],
    metrics: Mapping[str, float],
    tags: Mapping[str, str],
) -> Registered:
    """Log `model` as a run of experiment `name` and register it as the next version of `name`."""
    mlflow_client = client(settings)
    import mlflow
    import mlflow.sklearn

    with mlflow.start_run(experiment_id=_experiment(mlflow_client, settings, name), tags=dict(tags)) as run:
        mlflow.log_params(dict(parameters))
        mlflow.log_metrics(dict(metrics))
        with redirect_stderr(StringIO()):  # a line per version, past the loggers
            info = mlflow.sklearn.log_model(
                model,
                name="model",
                signature=_signature(),
                registered_model_name=name,
                await_registration_for=30,
                pip_requirements=[f"scikit-learn=={installed('scikit-learn')}"],  # given: finding them out takes 28 s
                skops_trusted_types=TRUSTED_TYPES,
            )
    for key, value in tags.items():
        mlflow_client.set_model_version_tag(name, str(info.registered_model_version), key, value)
    return Registered(str(info.registered_model_version), run.info.run_id)


def promote(settings: Settings, name: str, version: str) -> None:
    """Point the alias `champion` of model `name` at `version`."""
    client(settings).set_registered_model_alias(name, CHAMPION, version)


def load(settings: Settings, name: str, version: str) -> Any:
    """The scikit-learn pipeline of a registered version, from its artifact."""
    client(settings)
    import mlflow.exceptions
    import mlflow.sklearn

    try:
        return mlflow.sklearn.load_model(f"models:/{name}/{version}")
    except (mlflow.exceptions.MlflowException, OSError) as error:
        raise RegistryError(
            f"MLflow has no usable model {name} version {version}: {' '.join(str(error).split())}",
            f"Restore {mlflow_artifacts(settings)}, or delete the version from ml.model_versions and train again",
        ) from error


def _experiment(mlflow_client: MlflowClient, settings: Settings, name: str) -> str:
    found = mlflow_client.get_experiment_by_name(name)
    if found is not None:
        return str(found.experiment_id)
    location = (mlflow_artifacts(settings) / name).as_uri()
    return str(mlflow_client.create_experiment(name, artifact_location=location))


def _signature() -> Any:
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema

    inputs: list[Any] = [ColSpec("double", name) for name in FEATURES]
    return ModelSignature(Schema(inputs), Schema([ColSpec("double")]))
