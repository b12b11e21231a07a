"""Support of the tests: real servers on loopback, and the rules of the suite."""
