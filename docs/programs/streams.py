"""What cells print, as one piece."""

from typing import Any


def joined(outputs: list[Any]) -> list[Any]:
    """Joins the pieces in which a cell's output came; MyST-NB's own function ends a line wherever a piece ends."""
    whole: list[Any] = []
    streams: dict[str, Any] = {}
    for output in outputs:
        name = output["name"] if output["output_type"] == "stream" else ""
        if name in streams:
            streams[name]["text"] += output["text"]
            continue
        whole.append(output)
        if name:
            streams[name] = output
    return whole
