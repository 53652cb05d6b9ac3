"""Where one installation keeps its things and the few numbers it may change."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import yaml

from core.errors import GsceneError
from core.months import CUTOFF_DAYS
from core.table_files import CHUNK

#: Name of the optional settings file in a home folder.
FILE_NAME = "gscene.yaml"

_ALLOWED = {
    "state_url",
    "mlflow_uri",
    "cutoff_days",
    "threads",
    "sign_off",
    "promotion_key",
    "engine",
    "spark_master",
    "spark_memory",
    "chunk_subjects",
}

#: Fewest and most subjects that are worked on together: below, starting costs more than working; above, memory isn't bounded.
LEAST_CHUNK, MOST_CHUNK = 1_024, 1_048_576

#: Who signs models: people, or (in a demonstration alone) the program under the name `demo`.
SIGN_OFF = ("required", "automatic_in_demo")

#: Who computes features and scores.
ENGINES = ("local", "spark")


@dataclass(frozen=True)
class Settings:
    """One home folder: all data of one bank, branch or trial live below it.

    `cutoff_days` days after month end, `threads` compute threads; `sign_off`: one of SIGN_OFF; `promotion_key`: private key
    file of whoever approves models. All may stand in `gscene.yaml`, with `state_url` and `mlflow_uri`.

    `engine` says who computes features and scores; `spark_master` (`local[2]`, `spark://127.0.0.1:7077`) and
    `spark_memory` (of the driver and of each executor) count for the engine `spark`.

    `chunk_subjects` are worked on together when features are made: memory follows from it, not from the population.
    """

    home: Path
    state_url: str
    mlflow_uri: str
    cutoff_days: int = CUTOFF_DAYS
    threads: int = 2
    sign_off: str = SIGN_OFF[0]
    promotion_key: Path | None = None
    engine: str = "local"
    spark_master: str = "local[2]"
    spark_memory: str = "2g"
    chunk_subjects: int = CHUNK

    def __post_init__(self) -> None:
        """GsceneError for an engine that there isn't, or a chunk out of bounds."""
        if not LEAST_CHUNK <= self.chunk_subjects <= MOST_CHUNK:
            raise GsceneError(
                f"chunk_subjects is {self.chunk_subjects}.",
                f"Choose {LEAST_CHUNK} to {MOST_CHUNK} subjects; {CHUNK} is usual.",
            )
        if self.engine not in ENGINES:
            raise GsceneError(f"there is no engine {self.engine}.", f"Choose {' or '.join(ENGINES)}.")

    @classmethod
    def load(cls, home: Path) -> Settings:
        """Read `gscene.yaml` in `home` (missing: all defaults); an unknown or wrong entry is an error that names it."""
        home = home.resolve()
        file = home / FILE_NAME
        entries = yaml.safe_load(file.read_text(encoding="utf-8")) or {} if file.exists() else {}
        if not isinstance(entries, dict) or set(entries) - _ALLOWED:
            unknown = sorted(set(entries) - _ALLOWED) if isinstance(entries, dict) else ["not a mapping"]
            raise GsceneError(
                f"{file}: unknown settings {', '.join(unknown)}.",
                f"Allowed are {', '.join(sorted(_ALLOWED))}.",
            )
        sign_off = str(entries.get("sign_off", SIGN_OFF[0]))
        if sign_off not in SIGN_OFF:
            raise GsceneError(f"{file}: sign_off is one of {', '.join(SIGN_OFF)}.", "Correct the entry.")
        try:
            return cls(
                home=home,
                state_url=str(entries.get("state_url", f"sqlite:///{home / 'state.db'}")),
                mlflow_uri=str(entries.get("mlflow_uri", f"sqlite:///{home / 'mlflow.db'}")),
                cutoff_days=int(entries.get("cutoff_days", CUTOFF_DAYS)),
                threads=int(entries.get("threads", 2)),
                sign_off=sign_off,
                promotion_key=Path(entries["promotion_key"]) if entries.get("promotion_key") else None,
                engine=str(entries.get("engine", "local")),
                spark_master=str(entries.get("spark_master", "local[2]")),
                spark_memory=str(entries.get("spark_memory", "2g")),
                chunk_subjects=int(entries.get("chunk_subjects", CHUNK)),
            )
        except ValueError as error:
            raise GsceneError(f"{file}: {error}.", "Correct the entry.") from error

    @property
    def lake(self) -> Path:
        """Folder of the Delta tables."""
        return self.home / "lake"

    @property
    def archive(self) -> Path:
        """Folder of delivered bytes as they came, by sha256."""
        return self.home / "archive"

    @property
    def keys(self) -> Path:
        """Folder of secret keys; never inside the database or the repository."""
        return self.home / "keys"

    @property
    def trust(self) -> Path:
        """Folder of the public keys that sources sign with: `<source>/<key_id>.pem`."""
        return self.home / "trust"

    @property
    def out(self) -> Path:
        """Folder of what people take away: score files, lead lists, reports."""
        return self.home / "out"

    @property
    def bundles(self) -> Path:
        """Folder of model bundles."""
        return self.home / "models"

    @property
    def demo(self) -> bool:
        """Whether models are signed by the program: nothing here was approved by people."""
        return self.sign_off == SIGN_OFF[1]

    @property
    def model_trust(self) -> Path:
        """Folder of the public halves of the promotion keys: `promotion/<key_id>.pem`, revoked ones below `revoked/`."""
        return self.home / "model_trust"

    @property
    def impact_assessments(self) -> Path:
        """Folder of the personal information protection impact assessments (PIA), one YAML each."""
        return self.home / "pia"

    @property
    def spark(self) -> Path:
        """Folder of Spark's scratch files and of a cluster started here."""
        return self.home / "spark"

    @property
    def mlflow_artifacts(self) -> Path:
        """Folder of MLflow's artifacts."""
        return self.home / "mlflow-artifacts"

    @property
    def dagster_home(self) -> Path:
        """DAGSTER_HOME of this installation."""
        return self.home / "dagster"
