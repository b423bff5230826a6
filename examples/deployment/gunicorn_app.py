"""Several processes on one port: `gunicorn --preload -w 2 -k uvicorn_worker.UvicornWorker gunicorn_app:app`.

BUNDLE says which bundle. It is loaded before the processes are forked, which share its weights then, and has one thread
in each of them. Each process has its own queue, limits and figures. (`pip install gunicorn uvicorn-worker`.)
"""

import gc
import os

from s2s_runtime.serving.app import make_app
from s2s_runtime.serving.options import ServingOptions

app = make_app(os.environ["BUNDLE"], options=ServingOptions(workers=1, threads=1), preload=True)
gc.freeze()  # what was imported is no garbage: looking for it would halt requests for 0.1 seconds, and unshare memory
