"""Several processes on one port: `gunicorn --preload -w 2 -k uvicorn.workers.UvicornWorker gunicorn_app:app`.

BUNDLE says which bundle. Each process loads it when it starts, and has its own queue, limits and figures.
"""

import os

from s2s_runtime.serving.app import make_app

app = make_app(os.environ["BUNDLE"])
