"""The licence gate: expressions, spellings, texts, Debian copyright files."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from incoder_train.corpus.document import Document
from incoder_train.corpus.licence import (
    ALLOWED_LICENCES,
    LICENCE_SPELLINGS,
    THREAD_LICENCES,
    all_of,
    debian_licence,
    licence_gate,
    normalised,
    permissive,
    recognised,
)
from incoder_train.corpus.sources.stated import (
    core_metadata_licence,
    package_json_licence,
    project_licence,
    pyproject_licence,
)


@pytest.mark.parametrize(
    ("expression", "allowed"),
    [
        ("MIT", True),
        ("mit", True),
        ("MIT AND ISC", True),
        ("MIT AND GPL-3.0-only", False),
        ("MIT OR GPL-3.0-only", True),
        ("GPL-2.0-only or MIT", True),
        ("GPL-2.0-only OR LGPL-2.1-only", False),
        ("MIT AND (ISC OR GPL-3.0-only)", True),
        ("MIT AND ISC OR GPL-3.0-only", True),
        ("GPL-3.0-only OR MIT AND LGPL-2.1-only", False),
        ("(MIT)", True),
        ("Apache-2.0 WITH LLVM-exception", True),
        ("GPL-2.0-only WITH Classpath-exception-2.0", False),
        ("Apache-2.0+", True),
        ("", False),
        ("none", False),
        ("MIT OR", False),
        ("MIT License", False),  # to be normalised first
        ("(MIT", False),
        ("MIT)", False),
        ("MIT ISC", False),
        ("OR", False),
        ("MIT WITH", False),
        ("(" * 5000, False),
        ("CC-BY-SA-4.0", False),
    ],
)
def test_expressions(expression: str, allowed: bool) -> None:
    assert permissive(expression) is allowed


names = st.sampled_from(["MIT", "ISC", "GPL-3.0-only", "MPL-2.0"])
trees = st.recursive(names, lambda inner: st.tuples(inner, st.sampled_from(["AND", "OR"]), inner), max_leaves=12)


def spelled(tree: object) -> str:
    return tree if isinstance(tree, str) else f"({spelled(tree[0])} {tree[1]} {spelled(tree[2])})"  # type: ignore[index]


@given(trees)
def test_expressions_mean_what_python_means(tree: object) -> None:
    expression = spelled(tree)
    meaning = expression.replace("AND", "and").replace("OR", "or")
    for name in ("MIT", "ISC", "GPL-3.0-only", "MPL-2.0"):
        meaning = meaning.replace(name, str(name in ALLOWED_LICENCES))
    assert permissive(expression) is eval(meaning)
    assert normalised(expression) == expression


@given(st.text(), st.lists(st.sampled_from(["(", ")", "AND", "OR", "WITH", "MIT", "x"]), max_size=12).map(" ".join))
def test_any_text_has_a_verdict(text: str, expression: str) -> None:
    for stated in (text, expression):
        assert permissive(normalised(stated)) in (True, False)
        assert recognised(stated) == ""
        debian_licence(stated)
        project_licence({"LICENSE": stated, "package.json": stated, "pyproject.toml": stated})
        package_json_licence(stated)
        pyproject_licence(stated)


@pytest.mark.parametrize("name", sorted(LICENCE_SPELLINGS))
def test_spellings_lead_to_the_list(name: str) -> None:
    assert normalised(name.upper()) in ALLOWED_LICENCES | THREAD_LICENCES


def test_several_licences_are_one_expression() -> None:
    assert all_of(["MIT"]) == "MIT"
    assert all_of(["MIT", "MIT OR ISC", "ISC"]) == "ISC AND MIT AND (MIT OR ISC)"
    assert all_of(["MIT AND ISC", "ISC AND BSD-2-Clause"]) == "BSD-2-Clause AND ISC AND MIT"
    assert not permissive(all_of(["MIT OR GPL-3.0-only", "MPL-2.0"]))


# The sentences that matter of each licence, broken and marked as they are in files.
TEXTS = {
    "MIT": "# Permission is hereby granted, free of charge, to any person\n# obtaining a copy of ...\n# The above copyright"
    " notice and this permission notice (including the next\n# paragraph) shall be included in all copies",
    "ISC": "Permission to use, copy, modify, and/or distribute this software for any\npurpose with or without fee is hereby"
    " granted, provided that the above copyright notice and this permission notice appear in all copies.",
    "BSD-2-Clause": "Redistribution and use in source and binary forms, with or without\nmodification, are permitted",
    "Apache-2.0": "Apache License\n    Version 2.0, January 2004\n\nTERMS AND CONDITIONS FOR USE, REPRODUCTION, AND DISTRIBUTION",
    "BSL-1.0": "Boost Software License - Version 1.0 - August 17th, 2003",
    "Unlicense": "This is free and unencumbered software released into the public domain.",
    "PSF-2.0": "PYTHON SOFTWARE FOUNDATION LICENSE VERSION 2\n--------------------------------------------",
}
TEXTS["BSD-3-Clause"] = TEXTS["BSD-2-Clause"] + " ... Neither the name of the\n * copyright holder nor the names of its"
TEXTS["BSD-3-Clause"] += " contributors may be used to\nendorse or promote products"
TEXTS["Python-2.0"] = TEXTS["PSF-2.0"] + "\n\nBEOPEN.COM LICENSE AGREEMENT FOR PYTHON 2.0"
PAIRS = list(itertools.combinations([name for name in TEXTS if name not in ("BSD-2-Clause", "PSF-2.0")], 2))
RIDERS = [
    "All advertising materials mentioning features",
    "The Software shall be used for Good, not Evil.",
    "“Commons Clause” License Condition",
    "under the terms of the GNU General Public License",
    "for non-commercial purposes only",
]


@pytest.mark.parametrize("name", TEXTS)
def test_texts_are_known_by_their_sentences(name: str) -> None:
    assert recognised(TEXTS[name]) == name
    for rider in RIDERS:
        assert recognised(f"{TEXTS[name]}\n{rider}") == ""


@pytest.mark.parametrize(("one", "other"), PAIRS)
def test_two_texts_hold_together(one: str, other: str) -> None:
    assert recognised(f"{TEXTS[one]}\n\n{TEXTS[other]}") == all_of([one, other])


def dep5(*stanzas: str) -> str:
    return "\n\n".join(["Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/", *stanzas]) + "\n"


@pytest.mark.parametrize(
    ("content", "licence"),
    [
        (dep5("Files: *\nCopyright: 2020 Ada\nLicense: Expat\n Permission is"), "MIT"),
        (dep5("Files: *\nLicense: Expat", "Files: debian/*\nLicense: GPL-2+"), "MIT"),
        (dep5("Files: *\nLicense: Expat", "Files: a.py\n debian/b\nLicense: GPL-2+"), "GPL-2+ AND MIT"),
        (dep5("Files: *\nLicense: GPL-1+ or Artistic"), "GPL-1+ OR Artistic"),
        (dep5("Files: *\nLicense: Apache-2 or Expat, and BSD-3-clause"), "(Apache-2.0 OR MIT) AND (BSD-3-Clause)"),
        (
            dep5("Files: a\nLicense: ISC", "Files: b\nLicense: BSD-2-clause", "License: ISC\n text"),
            "BSD-2-Clause AND ISC",
        ),
        (dep5("Files: *\nCopyright: Ada"), ""),
        ("This package was debianised by Ada.\n\n" + TEXTS["MIT"], "MIT"),
        ("This package was debianised by Ada. See /usr/share/common-licenses/GPL", ""),
        ("", ""),
    ],
)
def test_debian_copyright_files(content: str, licence: str) -> None:
    assert debian_licence(content) == licence


def test_what_packages_state() -> None:
    assert core_metadata_licence("License-Expression: mit\nLicense: GPL\n") == "MIT"
    assert core_metadata_licence("License: New BSD\n") == "BSD-3-Clause"
    assert package_json_licence('{"license": "(MIT OR Apache-2.0)"}') == "(MIT OR Apache-2.0)"
    assert package_json_licence('{"license": {"type": "MIT", "url": "x"}}') == "MIT"
    assert package_json_licence('{"licenses": [{"type": "MIT"}, {"type": "Apache2"}]}') == "Apache-2.0 AND MIT"
    assert not permissive(package_json_licence('{"license": "SEE LICENSE IN LICENSE.txt"}'))
    assert package_json_licence("[]") == package_json_licence("{}") == ""
    assert pyproject_licence('[project]\nlicense = "MIT"') == "MIT"
    assert pyproject_licence('[project]\nlicense = {text = "MIT License"}') == "MIT"
    assert pyproject_licence('[project]\nlicense = {file = "LICENSE"}') == ""


def test_the_licence_files_of_a_project_decide() -> None:
    declared = {"package.json": '{"license": "ISC"}'}
    assert project_licence(declared) == "ISC"
    assert project_licence(declared | {"pyproject.toml": '[project]\nlicense = "MIT"'}) == "MIT"
    assert (
        project_licence(declared | {"LICENSE-MIT": TEXTS["MIT"], "COPYING": TEXTS["Apache-2.0"]})
        == "Apache-2.0 AND MIT"
    )
    assert project_licence(declared | {"LICENSE": "All rights reserved."}) == ""
    assert project_licence({"README": TEXTS["MIT"]}) == ""


def test_the_gate_judges_every_document() -> None:
    def document(licence: str, thread: bool = False) -> Document:
        return Document("text", "a.py", "a.py", ".py", "table", licence, own_metadata=thread)

    verdicts = licence_gate(
        [
            document("MIT"),
            document("GPL-3.0-only"),
            document(""),
            document("CC-BY-SA-4.0"),
            document("CC-BY-SA-4.0", True),
        ]
    )
    refused = "licence not allowed"
    assert [reason for _, reason in verdicts] == [None, refused, refused, refused, None]
