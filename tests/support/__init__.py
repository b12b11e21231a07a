"""What the tests stand on: real servers on loopback and the rules of the suite."""
