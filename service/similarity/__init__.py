"""What is like what: vectors and BM25 of papers, and the calibration of scores.

It knows papers, and no topics. Start with `domain/calibration.py`, then `embed_papers.py`.
"""
