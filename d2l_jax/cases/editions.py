"""Sections of the English edition in the numbers of the Chinese one, which has 15 chapters."""

# From chapter 6 on a chapter is one less in the Chinese edition; chapters after 16 are in the English edition alone.
LAST_SHARED = 16
MOVED = {
    "3.1": "3.1",
    "3.4": "3.2",
    "3.5": "3.3",
    "3.6": "4.4",
    "3.7": "4.5",
    "4.1": "3.4",
    "4.2": "3.5",
    "4.4": "3.6",
    "4.5": "3.7",
    "4.7": "4.9",
    "5.1": "4.1",
    "5.2": "4.2, 4.3",
    "5.3": "4.7",
    "5.4": "4.8",
    "5.6": "4.6",
    "5.7": "4.10",
    "6.3": "5.2",
    "6.4": "5.3",
    "6.5": "5.4",
    "6.6": "5.5",
    "6.7": "5.6",
    "10.1": "9.2",
    "10.2": "9.1",
}
ENGLISH_ALONE = {"8.8", "11.8", "11.9"}


def chinese(section: str) -> str:
    """Returns the section's number in the Chinese edition; "" where that has no such section, or it is not the book's.

    section: as in a Case, "7.6"
    """
    if section in MOVED or section in ENGLISH_ALONE:
        return MOVED.get(section, "")
    chapter, _, number = section.partition(".")
    shared = chapter.isdecimal() and 6 <= int(chapter) <= LAST_SHARED
    return f"{int(chapter) - 1}.{number}" if shared else ""
