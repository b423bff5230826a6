"""Training: tasks, losses, schedules, history, averaging."""
