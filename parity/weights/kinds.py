"""Checkpoints that are no model's weights, told by the names in them: one line says what would be."""

import re
from collections.abc import Iterable

SLOTS = re.compile(r"(.*\.)?state\.\d+\.\w+")
LORA = re.compile(r"(.*\.)?lora_(A|B|embedding_A|embedding_B|down|up|magnitude_vector)(\..*)?|lora_\w+\.alpha")
IA3 = re.compile(r"(.*\.)?ia3_l(\..*)?")
FLAX = re.compile(r"(.*[./])?(kernel|embedding|scale)")
WEIGHT = re.compile(r"(.*\.)?weight")
FLAT = re.compile(r"(.*\.)?_?flat_param(_\d+)?")
# As GPTQ and AWQ, bitsandbytes and PyTorch's own quantization pack a layer.
PACKED = re.compile(r"(.*\.)?(qweight|SCB|weight\.absmax|_packed_params(\..*)?)")


def kind_of(names: Iterable[str], others: Iterable[str] = ()) -> str:
    """Returns what tensors of these names are, a predicate, where they are not what a PyTorch model saves; else "".

    others: names of what is no tensor
    """
    names = list(names)
    groups = any(other.partition(".")[0] == "param_groups" for other in others)
    if names and all(SLOTS.fullmatch(name) or (groups and name.startswith("state.")) for name in names):
        return f"holds an optimiser's state ({names[0]}) and no weights; load the file of the model"
    for kind, pattern in (("LoRA's differences", LORA), ("IA3's factors", IA3)):
        if part := next(filter(pattern.fullmatch, names), ""):
            alone = all(map(pattern.fullmatch, names))
            where = "without the model that they belong to" if alone else "beside the weights that they change"
            return f"holds {kind} ({part}) {where}; save the model that merge_and_unload() of PEFT returns"
    if flat := next(filter(FLAT.fullmatch, names), ""):
        return f"holds FSDP's flat parameters ({flat}); save the model under StateDictType.FULL_STATE_DICT"
    if packed := next(filter(PACKED.fullmatch, [*names, *others]), ""):
        return f"holds quantized numbers ({packed}), packed with scales of their own; save the model as it was before"
    if any(map(FLAX.fullmatch, names)) and not any(map(WEIGHT.fullmatch, names)):
        flax = next(filter(FLAX.fullmatch, names))
        return f"holds Flax's names ({flax}), not PyTorch's; nnx.update puts such arrays into a model"
    return ""
