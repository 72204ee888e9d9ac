"""The files that the engines of a model run: made of a classifier, in a folder beside it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lenext.engines.engine import EngineName
from lenext.engines.remembered import FILES
from lenext.errors import LenextError, one_line

if TYPE_CHECKING:
    from lenext.classifier import Classifier


def make_file(folder: Path, engine: EngineName, classifier: Classifier, source: str) -> Path:
    """Write the file that an engine runs, and return its path; what stood there is replaced.

    It is compared with the classifier when it is benched, so that it needs no other proof.

    Raises:
        LenextError: it cannot be made.
    """
    path = folder / FILES[engine]
    beside = folder / f".{path.name}.{os.getpid()}.tmp"
    beside.mkdir()
    try:
        _write(engine, classifier, source, beside / path.name)
        for each in sorted(beside.iterdir(), key=lambda each: each.name == path.name):  # the named one last
            with each.open("rb+") as written:
                os.fsync(written.fileno())
            each.replace(folder / each.name)
    except LenextError:
        raise
    except ImportError as error:
        raise LenextError(f"its file needs {error.name} to be made: pip install 'lenext[export]'") from error
    except Exception as error:  # the exporters raise errors of many kinds
        raise LenextError(f"its file cannot be made: {one_line(error)}") from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return path


def _write(engine: EngineName, classifier: Classifier, source: str, path: Path) -> None:
    from lenext.deployment.exporting.export import file_metadata

    metadata: dict[str, Any] = {
        **file_metadata(classifier, source),
        "presumed": classifier.presumed,
        "unnamed": classifier.unnamed,
        "fingerprint": classifier.fingerprint(),
    }
    if engine == "ncnn":
        from lenext.deployment.exporting.ncnn_file import write_ncnn

        write_ncnn(classifier, metadata, path)
    else:
        from lenext.deployment.exporting.onnx_file import write_onnx

        write_onnx(classifier, metadata, path)
