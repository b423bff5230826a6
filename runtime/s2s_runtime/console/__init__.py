"""What every command shares: manners, help, progress, and how a command is registered."""
