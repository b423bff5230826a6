"""The bundle on disk: manifest, specifications, storage."""
