def measure_queue(*a): return {}
