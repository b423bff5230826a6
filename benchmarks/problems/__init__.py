"""What the peers are asked to do, with a reference written from the equations."""
