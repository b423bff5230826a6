"""The parts that all commands share: manners, help, progress, and the way to register a command."""
