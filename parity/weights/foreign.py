"""Files and folders that hold no weights of PyTorch's, known by how they begin or by what lies in them.

Each reason is a predicate: "PATH is ...".
"""

from difflib import get_close_matches
from pathlib import Path

HEAD = 512  # bytes that tell what a file is: tar's mark stands at 257
SHOWN = 40  # characters of a text that are quoted
STARTS = {
    b"\x89HDF": "an HDF5 file, of Keras or TensorFlow; export its arrays with numpy.savez under PyTorch's names",
    b"GGUF": "a GGUF file of quantized weights; take the model's .safetensors",
    b"version https://git-lfs": "a pointer of Git LFS, not the file itself; `git lfs pull` fetches it",
    b"\x1f\x8b": "compressed with gzip; unpack it first",
    b"\x28\xb5\x2f\xfd": "compressed with zstd; unpack it first",
    b"\xfd7zXZ": "compressed with xz; unpack it first",
    b"BZh": "compressed with bzip2; unpack it first",
    b"7z\xbc\xaf": "packed with 7z; unpack it first",
    b"Rar!": "packed with rar; unpack it first",
    b"\x93NUMPY": "one array of numpy.save; numpy.savez(path, **arrays) keeps a dict of arrays under their names",
}
WEB = (b"<!doctype html", b"<html")
ONNX = bytes([8]), b"\x12"  # the version of its format, a small number, then who wrote it
# A map of msgpack, of up to 15 names, the first of them a short text or another map's.
MSGPACK = range(0x81, 0x90), range(0xA1, 0xC0)
FLAX = "a file of Flax's, with Flax's names; flax.serialization.msgpack_restore reads it"
ORBAX = "a checkpoint of Orbax's, with Flax's names; orbax.checkpoint restores it, and nnx.update puts it into a model"
TENSORFLOW = "of a checkpoint of TensorFlow; export its arrays with numpy.savez under PyTorch's names"
DISTRIBUTED = (
    "a distributed checkpoint; `python -m torch.distributed.checkpoint.format_utils dcp_to_torch` makes one file"
)
MARKS = {
    ".metadata": f"{DISTRIBUTED} of it",
    "zero_to_fp32.py": "a checkpoint of DeepSpeed; its zero_to_fp32.py makes one file of it",
    "*/*mp_rank_??_model_states.pt": "a checkpoint of DeepSpeed; its zero_to_fp32.py, or "
    "get_fp32_state_dict_from_zero_checkpoint, makes one state_dict of it",
    "_CHECKPOINT_METADATA": ORBAX,
    "_METADATA": ORBAX,
    "saved_model.pb": "a model of TensorFlow",
    "*.data-?????-of-?????": f"the folder {TENSORFLOW}",
    "data.pkl": "what torch.save wrote and a program unpacked; name the archive as it was before",
}


def foreign_file(path: Path, head: bytes) -> str:
    """Returns what a file is that begins so; "" where it may hold weights."""
    if ".data-" in path.name and "-of-" in path.name:
        return f"a part {TENSORFLOW}"
    if path.suffix == ".distcp":
        return f"a part of {DISTRIBUTED} of its folder"
    for start, reason in STARTS.items():
        if head.startswith(start):
            return reason
    if head.lstrip().lower().startswith(WEB):
        return "a web page; the download was answered with text"
    if head[257:262] == b"ustar":
        return "packed with tar; unpack it first"
    if head[4:8] == b"TFL3":
        return "a model of TensorFlow Lite"
    if path.suffix == ".onnx" or (head[:1] == ONNX[0] and head[2:3] == ONNX[1]):
        return "a program of ONNX; export the state_dict of the PyTorch model that it was made of"
    if path.suffix == ".msgpack" or (len(head) > 1 and head[0] in MSGPACK[0] and head[1] in MSGPACK[1]):
        return FLAX
    return _text(head)


def _text(head: bytes) -> str:
    """Tells that it is text, which no weight file begins with: lengths and archives have bytes that are no letters."""
    words = head.decode("utf-8", "replace").rstrip("\ufffd")  # the last letter may be cut
    if not words.strip() or "\ufffd" in words or not all(each.isprintable() or each.isspace() for each in words):
        return ""
    return f"text, not weights: it begins {' '.join(words.split())[:SHOWN]!r}"


def foreign_archive(members: list[str]) -> str:
    """Returns what a zip archive is that neither torch.save nor numpy.savez wrote."""
    if "model.weights.h5" in members:
        return "a model of Keras; export its arrays with numpy.savez under PyTorch's names"
    names = [name for name in members if not name.endswith("/")]
    return f"an archive of files ({', '.join(names[:2])}); unpack it first" if names else "an empty archive"


def foreign_folder(path: Path) -> str:
    """Returns what a folder is in which another program's files lie; "" where there are none."""
    return next((reason for mark, reason in MARKS.items() if next(path.glob(mark), None)), "")


def absent(path: Path) -> str:
    """Returns why there is no file of this path, as a whole sentence."""
    if path.is_symlink():
        return f"{path} is a link to {path.readlink()}, which is not there; download the file again"
    if Path(f"{path}.index").is_file():
        return f"{path} is the name {TENSORFLOW}"
    near = get_close_matches(path.name, [each.name for each in path.parent.glob("*")])
    return f"no such file: {path}{f' (there is {near[0]})' if near else ''}"
