"""What the paper reports of InCoder-6.7B (Fried et al. 2022, first version), to stand beside our own measurements."""

from __future__ import annotations

from dataclasses import dataclass

from incoder_train.evaluate.case import CAUSAL_MASK, LEFT_TO_RIGHT, RERANK


@dataclass(frozen=True)
class Published:
    value: float  # as the paper prints it, in per cent
    source: str
    same_data: bool = True  # False: a task of the same kind on other files, good for an order of magnitude only


Key = tuple[str, str, str, str]  # task, split, method, measure

INFILLING = {  # Table 1: tests passed and exact match
    ("single-line", LEFT_TO_RIGHT): (48.2, 38.7),
    ("single-line", RERANK): (54.9, 44.1),
    ("single-line", CAUSAL_MASK): (69.0, 56.3),
    ("multi-line", LEFT_TO_RIGHT): (24.9, 15.8),
    ("multi-line", RERANK): (28.2, 17.6),
    ("multi-line", CAUSAL_MASK): (38.6, 20.6),
}
CLOZE_LANGUAGES = ("python", "javascript", "ruby", "go", "java", "php")
CLOZE = {  # Table 9: the accuracy for each of them
    (LEFT_TO_RIGHT, "left-break"): (72.4, 72.1, 68.4, 71.7, 74.1, 76.9),
    (LEFT_TO_RIGHT, "left-token"): (76.9, 77.6, 65.8, 70.4, 74.1, 77.1),
    (LEFT_TO_RIGHT, "left-region"): (84.2, 88.6, 73.7, 85.5, 87.6, 87.0),
    (RERANK, "left-right-break"): (77.9, 79.4, 63.2, 89.5, 82.0, 85.3),
    (RERANK, "left-right"): (87.9, 90.1, 76.3, 92.8, 91.7, 90.4),
    (CAUSAL_MASK, "infill-break"): (79.1, 83.1, 84.2, 90.1, 84.0, 85.3),
    (CAUSAL_MASK, "infill-token"): (81.8, 73.9, 81.6, 95.4, 77.6, 87.0),
    (CAUSAL_MASK, "infill-region"): (86.2, 91.2, 78.9, 94.7, 89.8, 91.4),
}
SYNTHESIS = {  # Table 6
    ("humaneval", "pass@1"): 15.2,
    ("humaneval", "pass@10"): 27.8,
    ("humaneval", "pass@100"): 47.0,
    ("mbpp", "pass@1"): 19.4,
}
OTHER_DATA = {  # task, measure -> source, then left to right, rerank, causal mask
    ("docstring", "bleu"): ("Table 2", 16.05, 17.14, 18.27),
    ("return-type", "exact"): ("Table 11", 20.0, 24.2, 46.8),
    ("return-type", "with_none_rule"): ("Table 11", 63.2, 64.3, 76.7),
    ("return-type", "exact_not_none"): ("Table 4b", 30.8, 33.3, 59.2),
    ("variable-name", "exact"): ("Table 5", 18.4, 23.5, 30.6),
}
METHODS = (LEFT_TO_RIGHT, RERANK, CAUSAL_MASK)  # the order of the columns above

PUBLISHED: dict[Key, Published] = {
    ("humaneval-infill", split, method, measure): Published(value, "Table 1")
    for (split, method), values in INFILLING.items()
    for measure, value in zip(("pass", "exact"), values, strict=True)
}
PUBLISHED |= {
    ("cloze", language, method, measure): Published(value, "Table 9")
    for (method, measure), values in CLOZE.items()
    for language, value in zip(CLOZE_LANGUAGES, values, strict=True)
}
PUBLISHED |= {
    (task, "", LEFT_TO_RIGHT, measure): Published(value, "Table 6") for (task, measure), value in SYNTHESIS.items()
}
PUBLISHED |= {
    (task, "", method, measure): Published(value, source, same_data=False)
    for (task, measure), (source, *values) in OTHER_DATA.items()
    for method, value in zip(METHODS, values, strict=True)
}
