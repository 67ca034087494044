"""The other side of the compression benchmark: TensorLy's partial_tucker of the same kernels, in its own environment.

python benchmarks/tensorly_tucker.py KERNELS.npz RANKS.json SWEEPS -> {"cpu_s": ..., "errors": {layer: relative error}}

Along both channel modes of each kernel, as its documentation does for convolutions; where one rank is full, along the
other mode alone, which is less to do.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np
import tensorly
from tensorly.decomposition import partial_tucker
from tensorly.tenalg import multi_mode_dot


def main(kernels_file: str, ranks_file: str, sweeps: str) -> None:
    with np.load(kernels_file) as arrays:
        kernels = {name: arrays[name] for name in arrays.files}
    ranks = json.loads(Path(ranks_file).read_text(encoding="utf-8"))
    cpu_s, errors = 0.0, {}
    for name, pair in ranks.items():
        kernel = tensorly.tensor(kernels[name])
        modes = [mode for mode in (0, 1) if pair[mode] < kernel.shape[mode]]
        start = time.process_time()
        (core, factors), _ = partial_tucker(
            kernel, [pair[mode] for mode in modes], modes, n_iter_max=int(sweeps), tol=0
        )
        cpu_s += time.process_time() - start
        difference = kernel - multi_mode_dot(core, factors, modes)
        errors[name] = float(np.linalg.norm(difference) / np.linalg.norm(kernel))
    print(json.dumps({"cpu_s": cpu_s, "errors": errors}))


if __name__ == "__main__":
    main(*sys.argv[1:])
