"""Serving bundles over HTTP: the Open Inference Protocol and a plain `/generate`. Needs the extra `serve`."""
