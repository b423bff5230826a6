"""Measurements that need a process of their own: cold starts and memory."""
