"""Write the model files of this version, beside what they predict: `python tests/model_files/make.py`, once a release.

`tests/test_model_file.py` reads those of all versions.
"""

import json
import sys
from pathlib import Path

FOLDER = Path(__file__).parent
sys.path.insert(0, str(FOLDER.parent))

from test_model_file import MODELS, fit_of, table  # noqa: E402

import pymixed as pm  # noqa: E402

for name in ("slope", "counts"):
    fit, path = fit_of(name), FOLDER / f"{pm.__version__}-{name}.pmx"
    fit.save(path)
    predictions = fit.predict(table(MODELS[name][1]).iloc[::7], se=True)
    path.with_suffix(".json").write_text(json.dumps({"predictions": predictions.to_numpy().tolist()}) + "\n")
