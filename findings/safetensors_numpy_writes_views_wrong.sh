#!/usr/bin/env bash
# safetensors 0.8.0, numpy 2.2.6
# safetensors.numpy.save_file takes an array that isn't C-contiguous (a transposed or strided view, Fortran order) without
# a word and writes its memory as it lies there: what is read back has the shape that was asked for and other numbers. A
# weight that was transposed on its way from another framework is stored wrong so. (The same call for torch tensors
# raises ValueError and asks for .contiguous().)
# Seen: of arange(6).reshape(2, 3) the transposed comes back as [[0, 1], [2, 3], [4, 5]] instead of [[0, 3], [1, 4], [2, 5]].
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet --disable-pip-version-check safetensors==0.8.0 numpy==2.2.6
"$folder/env/bin/python" - "$folder" <<'PYTHON'
import sys

import numpy as np
import safetensors
from safetensors.numpy import load_file, save_file

weight = np.arange(6, dtype=np.float32).reshape(2, 3)
kinds = {"transposed": weight.T, "Fortran order": np.asfortranarray(weight), "every second": np.arange(12, dtype=np.float32)[::2]}
path = f"{sys.argv[1]}/x.safetensors"
wrong = {}
for name, array in kinds.items():
    save_file({"x": array}, path)
    found = load_file(path)["x"]
    wrong[name] = found.shape == array.shape and not np.array_equal(found, array)
    print(f"safetensors {safetensors.__version__}, {name}: {array.tolist()} -> {found.tolist()}")
assert all(wrong.values()), wrong
PYTHON
