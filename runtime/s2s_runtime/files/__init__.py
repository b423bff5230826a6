"""Reading and writing files: one piece for each job."""
