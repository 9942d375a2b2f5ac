"""Markdown and docstrings: how texts are taken apart for pages."""

from __future__ import annotations

from kosmolua.docs import markdown


def test_a_document_has_a_title_an_introduction_and_sections() -> None:
    """First-level heading, text before the sections, and the text below each second-level heading."""
    document = markdown.read("# Title\n\nIntro.\n\n## One\n\nFirst.\n\n### Sub\n\nx\n\n## `two`\nSecond.\n")

    assert document.title == "Title"
    assert document.introduction == "Intro."
    assert document.sections == {"One": "First.\n\n### Sub\n\nx", "two": "Second."}


def test_headings_inside_fences_are_code() -> None:
    """A line in a fenced block is never a heading, whichever fence it is."""
    text = "## a\n```\n## b\n~~~\n## c\n```\n~~~\n# d\n~~~\n## e\n"

    assert list(markdown.read(text).sections) == ["a", "e"]


def test_sections_of_one_name_are_joined() -> None:
    """Nothing of a text is lost when two sections have the same heading."""
    assert markdown.read("## a\none\n## a\ntwo").sections == {"a": "one\ntwo"}


def test_rules_between_sections_are_dropped() -> None:
    """A rule at the end of a section only separates it from the next."""
    assert markdown.read("## a\n\none\n\n---\n\n## b\n\ntwo").sections == {"a": "one", "b": "two"}


def test_an_empty_text_is_an_empty_document() -> None:
    """A plugin without Markdown has an empty document."""
    assert markdown.read("") == markdown.MarkdownText("", "", {})


def test_raising_leaves_code_and_the_title_alone() -> None:
    """Headings move up by one level, but comments in code stay."""
    assert markdown.raised("# a\n### b\n```\n### c\n```") == "# a\n## b\n```\n### c\n```"


def test_a_table_escapes_pipes_and_line_breaks() -> None:
    """A cell can hold neither, or the table would break."""
    table = markdown.table(("Name", "About"), [("a", "one | two\nthree")])

    assert table.splitlines() == ["| Name | About |", "| ---- | ----- |", "| a | one \\| two three |"]


def test_a_docstring_is_split_at_its_sections() -> None:
    """A section is the indented text below its name; text after it belongs to the whole again."""
    text, sections = markdown.split("Do it.\n\nMore: here.\n\nReturns:\n    A thing:\n      - one\n\nAfter.\n")

    assert text == "Do it.\n\nMore: here.\n\nAfter."
    assert sections == {"Returns": "A thing:\n  - one"}
