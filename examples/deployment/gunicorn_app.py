"""Several processes on one port: `gunicorn --preload -w 2 -k uvicorn.workers.UvicornWorker gunicorn_app:app`.

BUNDLE says which bundle. Each process loads it when it starts, and has its own queue, limits and figures.
"""

import gc
import os

from s2s_runtime.serving.app import make_app

app = make_app(os.environ["BUNDLE"])
gc.freeze()  # what was imported is no garbage: looking for it would halt requests for 0.1 seconds, and unshare memory
