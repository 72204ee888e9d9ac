"""Kinds of trouble: how bad each is, what it is called, and what it does to a training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

Severity = Literal["problem", "note"]
PROBLEM: Severity = "problem"
NOTE: Severity = "note"


@dataclass(frozen=True)
class Kind:
    """One kind of trouble: a problem, from which training or its figures suffer, or a note, which is good to know.

    `title` heads its list on the page, and `means` says what lenext does with it and what to do. Images of a kind that
    is `excluded` go into the list that `--write-exclusions` writes.
    """

    severity: Severity
    title: str
    means: str
    excluded: bool = False


# In the order in which they are told: what loses images, what spoils figures, what the classes lack, what is handled.
KINDS: dict[str, Kind] = {
    "empty": Kind(
        PROBLEM, "Empty files", "Files of no bytes, as broken copies leave them; they are skipped.", True
    ),
    "truncated": Kind(
        PROBLEM, "Cut off", "Images whose file ends too soon. They are skipped; copy or download them again.", True
    ),
    "not-an-image": Kind(
        PROBLEM, "No images", "Files called like images that hold something else; they are skipped.", True
    ),
    "unreadable": Kind(
        PROBLEM, "Unreadable", "Files that cannot be read or decoded; they are skipped.", True
    ),
    "missing": Kind(
        PROBLEM, "Missing", "Files that are named and not there, or links that lead nowhere; they are skipped.", True
    ),
    "heic": Kind(
        PROBLEM,
        "HEIC without its decoder",
        "Photos as iPhones take them. They are skipped until the extra is there: pip install 'lenext[heic]'.",
    ),
    "blank": Kind(
        PROBLEM, "Blank", "Images of one colour, or nearly. They teach nothing but a label; take them out.", True
    ),
    "duplicate-across-splits": Kind(
        PROBLEM,
        "The same file in two splits",
        "An image that is trained on and judged by: figures come out too high. The list leaves the training copy out.",
        True,
    ),
    "duplicate-across-classes": Kind(
        PROBLEM,
        "The same file in two classes",
        "One of the labels is wrong, and nobody but you can say which. The list leaves all copies out.",
        True,
    ),
    "near-duplicate-across-splits": Kind(
        PROBLEM,
        "Nearly the same image in two splits",
        "Resized, compressed or cropped copies: figures come out too high. The list leaves the training copy out.",
        True,
    ),
    "near-duplicate-across-classes": Kind(
        PROBLEM,
        "Nearly the same image in two classes",
        "Copies with different labels, of which one is likely wrong. The list leaves both out.",
        True,
    ),
    "duplicate": Kind(
        PROBLEM, "The same file twice", "Copies in one class count twice in training. The list keeps one of them.", True
    ),
    "no-classes": Kind(PROBLEM, "No classes", "A classifier needs a folder for each class, two at least."),
    "empty-class": Kind(
        PROBLEM, "Classes without images", "Training refuses them: add images, or take the folder away."
    ),
    "class-not-in-train": Kind(
        PROBLEM, "Classes that only another split has", "Training refuses them: nothing would be learned of them."
    ),
    "class-missing": Kind(
        PROBLEM, "Classes that a split lacks", "What is trained on but not judged: the figures say nothing of it."
    ),
    "similar-classes": Kind(
        PROBLEM, "Classes with nearly one name", "They differ in capitals or blanks alone, and are likely one class."
    ),
    "tiny-class": Kind(
        PROBLEM, "Classes of very few images", "Too few to learn from, or to judge by: add images, or drop the class."
    ),
    "imbalance": Kind(
        PROBLEM,
        "Imbalance",
        "The largest class has many times the images of the smallest, and top-1 mostly speaks of the former. With "
        "--set sampling=balanced, training draws classes equally often.",
    ),
    "loose-image": Kind(
        PROBLEM, "Images outside of class folders", "They have no label and are ignored; move each into its class."
    ),
    "unnamed-image": Kind(
        PROBLEM, "Images not called images", "Their names do not end as .jpg does, so they are ignored; rename them."
    ),
    "unreadable-folder": Kind(
        PROBLEM, "Unreadable folders", "Training stops at them: give yourself the right to read them."
    ),
    "near-duplicate": Kind(
        NOTE,
        "Nearly the same image twice",
        "Copies or shots of one moment in one class and split. They say little that is new, but spoil no figure.",
    ),
    "wrong-extension": Kind(
        NOTE, "Wrongly named", "Of another format than the name says. lenext goes by the content; others may not."
    ),
    "rotated": Kind(
        NOTE, "Turned by EXIF", "Photos that a note in the file turns, as lenext does; not every program does."
    ),
    "deep": Kind(NOTE, "More than 8 bits", "16-bit, 32-bit or float images. lenext brings full scale to full scale."),
    "cmyk": Kind(NOTE, "CMYK", "Images made for print. lenext turns them to RGB, without a colour profile."),
    "alpha": Kind(NOTE, "Transparent", "Images with transparency. lenext lays them on white."),
    "animated": Kind(NOTE, "Several pictures", "Animations, and files of several pages; the first picture is taken."),
    "large": Kind(
        NOTE,
        "Large",
        "Photos of 12 megapixels and more take most of the time of reading. Smaller copies train as well, and sooner.",
    ),
    "small": Kind(NOTE, "Small", "Images far smaller than the others, which are enlarged and show little."),
    "long": Kind(
        NOTE, "Long", "More than twice as long as wide, so that a crop loses more than half; see the shapes below."
    ),
    "order": Kind(
        NOTE,
        "Order",
        'Plain order puts "10" before "2". Classes are numbered in plain order; go by their names, or write 02.',
    ),
    "too-alike": Kind(
        NOTE,
        "Too alike to tell copies",
        "Drawings of one sign, or frames of one film, differ so little that near duplicates cannot be told from images "
        "of one kind. Where they are frames, let whole films go into one split.",
    ),
    "hidden": Kind(NOTE, "Hidden", "What begins with a dot, and what systems leave behind, is never data."),
    "ignored": Kind(NOTE, "Ignored", "Files in class folders that are no images, and folders beside the splits."),
}  # fmt: skip


@dataclass(frozen=True)
class Problem:
    """One finding: its kind, the file, folder or class that it is about, and what is wrong, in words.

    Of a pair `other` is the other image.
    """

    kind: str
    path: str
    detail: str
    other: str | None = None

    @property
    def severity(self) -> Severity:
        """Whether training would suffer from it (`problem`), or it is good to know (`note`)."""
        return KINDS[self.kind].severity

    def to_json(self) -> dict[str, Any]:
        """Return the fields of the command's JSON."""
        pair = {} if self.other is None else {"other": self.other}
        return {"kind": self.kind, "severity": self.severity, "path": self.path, "detail": self.detail, **pair}
