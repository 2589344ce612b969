"""Stars to buckets (paper section 2.2). How popular a repository is goes into a document's header as `dstars`, 0 to 5; what
counts as many stars depends on the crawl that found it, since the crawls differ in the languages they looked for."""

from bisect import bisect_right
from collections.abc import Sequence

# Lower bounds of the buckets 0 to 5: the quantiles 0, 1/2, 3/4, 7/8, 15/16 and 31/32 of each crawl (released pipeline).
STAR_BOUNDS = {
    "python": (0, 2, 8, 24, 66, 161),
    "jupyter": (0, 1, 4, 12, 32, 84),
    "javascript": (2, 5, 15, 41, 102, 239),
}


def bucket(value: int, bounds: Sequence[int]) -> int:
    """The last bucket whose lower bound `value` reaches; -1 if it is under the first."""
    return bisect_right(bounds, value) - 1


def repository_attributes(source: str, stars: int, crawl: str) -> dict[str, str]:
    """What the header tells of a repository: `source` where known; `dstars` for a crawl of GitHub with thresholds, unless
    the stars are unknown (negative) or under the first bound. GitLab's stars are never told."""
    attributes = {"source": source} if source else {}
    if source != "gitlab" and stars >= 0 and crawl in STAR_BOUNDS:
        level = bucket(stars, STAR_BOUNDS[crawl])
        attributes |= {"dstars": str(level)} if level >= 0 else {}
    return attributes
