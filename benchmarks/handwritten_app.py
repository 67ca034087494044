"""The other side of the overhead benchmark: what one would write by hand, the model in the service's own process.

python benchmarks/handwritten_app.py MODEL PORT THREADS
"""

import sys

import numpy as np
import onnxruntime
import uvicorn
from fastapi import FastAPI, Request, Response

app = FastAPI()


@app.post("/infer")
async def infer(request: Request) -> Response:
    tensor = np.frombuffer(await request.body(), np.float32).reshape(1, 3, 256, 256)
    (output,) = app.state.session.run(None, {"x": tensor})
    return Response(output.tobytes(), media_type="application/octet-stream")


if __name__ == "__main__":
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = int(sys.argv[3])
    app.state.session = onnxruntime.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
    # As the agent is served: the same loop, the same parser, no log of requests.
    uvicorn.run(app, port=int(sys.argv[2]), loop="uvloop", http="httptools", log_level="error", access_log=False)
