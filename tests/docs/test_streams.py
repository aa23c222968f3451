"""What a cell prints in pieces is shown as one."""

from streams import joined


def test_pieces_are_joined_as_they_came():
    out, err = ({"output_type": "stream", "name": name, "text": "step 1, los"} for name in ("stdout", "stderr"))
    picture = {"output_type": "display_data", "data": {}}
    rest = {"output_type": "stream", "name": "stdout", "text": "s 0.5\n"}
    whole = joined([out, picture, err, rest])
    assert whole == [out, picture, err] and [out["text"], err["text"]] == ["step 1, loss 0.5\n", "step 1, los"]
