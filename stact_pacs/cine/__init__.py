"""What is shared by the service and the trainer: reading a cine, and preparing its pixels for the networks."""
