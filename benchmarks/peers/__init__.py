"""What people would use instead, each behind the interface of `peers.interface` and each in a process of its own."""
