"""Groups of papers by vectors and words."""

from service.similarity.embeddings.clustering import cluster_papers


def vector(*values: int) -> bytes:
    return bytes(value % 256 for value in values)


def test_near_papers_are_grouped_and_no_group_is_too_large() -> None:
    dense = [vector(100, n, 0) for n in range(4)] + [vector(-n, 100, 3) for n in range(3)] + [b""]
    words = [{"cat": 2.0, f"x{n}": 1.0} for n in range(4)] + [{"dog": 2.0, "y": 1.0}] * 3 + [{}]
    groups = cluster_papers("m", dense, words, 2, 4)
    assert sorted(groups[0]) == [0, 1, 2, 3]
    assert {4, 5, 6} <= set(groups[1])
    assert sorted(n for group in groups for n in group) == list(range(8))
    small = cluster_papers("m", dense, words, 1, 3)
    assert max(map(len, small)) == 3
    assert sorted(n for group in small for n in group) == list(range(8))


def test_words_alone_and_few_papers() -> None:
    words = [{"cat": 1.0}, {"dog": 1.0}, {"cat": 2.0}, {"dog": 1.0}]
    assert sorted(map(sorted, cluster_papers("words", [b""] * 4, words, 2, 4))) == [[0, 2], [1, 3]]
    assert cluster_papers("m", [], [], 1, 20) == []
    assert cluster_papers("m", [b"a"], [{}], 1, 20) == [[0]]
    assert cluster_papers("m", [b""] * 2, [{}] * 2, 1, 20) == [[0, 1]]
