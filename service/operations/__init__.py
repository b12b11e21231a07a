"""For the operator: status, explanations, doctor, metrics, monitoring.

It reads all rooms and changes nothing but alerts. Start with `figures.py` and `explain.py`.
"""
