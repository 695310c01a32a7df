"""What the services need of the world, as Protocols. Each has one contract suite that every adapter passes."""
