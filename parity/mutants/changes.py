"""The changes that an expression allows: another operator, comparison, constant, flag or function name."""

import ast
import math
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple


class Change(NamedTuple):
    """A change of one node of a syntax tree.

    kind:  "operator", "comparison", "constant", "flag" or "function"
    label: the old and the new, "+ -> -"
    apply: changes such a node in place
    """

    kind: str
    label: str
    apply: Callable[[Any], None]


OPERATORS: dict[type[ast.AST], tuple[type[ast.AST], ...]] = {
    ast.Add: (ast.Sub,),
    ast.Sub: (ast.Add,),
    ast.Mult: (ast.Div,),
    ast.Div: (ast.Mult,),
    ast.FloorDiv: (ast.Mult,),
    ast.Mod: (ast.FloorDiv,),
    ast.Pow: (ast.Mult,),
    ast.MatMult: (ast.Mult,),
    ast.BitAnd: (ast.BitOr,),
    ast.BitOr: (ast.BitAnd,),
    ast.And: (ast.Or,),
    ast.Or: (ast.And,),
}
COMPARISONS: dict[type[ast.AST], tuple[type[ast.AST], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
SYMBOLS = {
    **{ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.FloorDiv: "//", ast.Mod: "%", ast.Pow: "**"},
    **{ast.MatMult: "@", ast.BitAnd: "&", ast.BitOr: "|", ast.And: "and", ast.Or: "or"},
    **{ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.Eq: "==", ast.NotEq: "!="},
    **{ast.Is: "is", ast.IsNot: "is not", ast.In: "in", ast.NotIn: "not in"},
}
ARRAYS = """maximum minimum; sum mean; max min; exp expm1; log log1p; sin cos; tanh sinh; var std; argmax argmin;
            zeros ones; zeros_like ones_like; sqrt square; floor ceil; abs square; any all; triu tril; cumsum cumprod"""
ACTIVATIONS = "relu sigmoid tanh gelu silu softplus; softmax log_softmax; sigmoid log_sigmoid"
# By the name under which the files import a module. Each function can become any other of its family.
FAMILIES = {
    "jnp": ARRAYS,
    "np": ARRAYS,
    "lax": "rsqrt sqrt; max min; exp expm1; log log1p; add sub",
    "math": "sqrt exp; log log1p; floor ceil; sin cos",
    "nnx": ACTIVATIONS,
    "jax.nn": ACTIVATIONS,
    "nn": "MaxPool2d AvgPool2d",
}
METHODS = "sum mean; max min; var std; argmax argmin"
UPDATES = "set add"  # of `array.at[index]`
ORDERED = ("concatenate", "stack")


def changes(node: ast.AST) -> list[Change]:
    """Lists all changes of the node itself, without its children; none where it has none."""
    match node:
        case ast.BinOp() | ast.AugAssign() | ast.BoolOp():
            return [_operator(node.op, other) for other in OPERATORS.get(type(node.op), ())]
        case ast.UnaryOp(op=ast.USub()):
            return [Change("operator", "-x -> x", lambda node: setattr(node, "op", ast.UAdd()))]
        case ast.UnaryOp(op=ast.Not()):
            return [Change("operator", "not x -> x", _negated_twice)]
        case ast.Compare():
            compared = [(place, op, other) for place, op in enumerate(node.ops) for other in COMPARISONS[type(op)]]
            return [_comparison(*each) for each in compared]
        case ast.Constant():
            return [_constant(node.value, other) for other in _others(node.value)]
        case ast.Attribute(ctx=ast.Load()):
            family = FAMILIES.get(ast.unparse(node.value), "")
            return [_function(node.attr, other) for other in _relatives(node.attr, family)]
        case ast.Call(func=ast.Attribute(attr=name), args=[ast.List() | ast.Tuple() as joined, *_]):
            if name in ORDERED and len(joined.elts) > 1:
                label = f"{name} in reverse order"
                return [Change("function", label, lambda node: node.args[0].elts.reverse())]
        case ast.Call(func=ast.Attribute(attr=name) as method) if ast.unparse(method.value) not in FAMILIES:
            families = UPDATES if _is_update(method) else METHODS
            return [_function(name, other) for other in _relatives(name, families)]
    return []


def _operator(op: ast.AST, other: type[ast.AST]) -> Change:
    label = f"{SYMBOLS[type(op)]} -> {SYMBOLS[other]}"
    return Change("operator", label, lambda node: setattr(node, "op", other()))


def _negated_twice(node: ast.UnaryOp) -> None:
    node.operand = ast.copy_location(ast.UnaryOp(ast.Not(), node.operand), node)


def _comparison(place: int, op: ast.AST, other: type[ast.AST]) -> Change:
    label = f"{SYMBOLS[type(op)]} -> {SYMBOLS[other]}"
    return Change("comparison", label, lambda node: node.ops.__setitem__(place, other()))


def _others(value: Any) -> Iterable[Any]:
    """Returns what a number or a flag may become; nothing for anything else."""
    if isinstance(value, bool):
        return (not value,)
    if isinstance(value, int):
        return (value + 1, value - 1) if value else (1,)
    if isinstance(value, float) and math.isfinite(value):
        return (value * 2, value / 2) if value else (1.0,)
    return ()


def _constant(value: Any, other: Any) -> Change:
    kind = "flag" if isinstance(other, bool) else "constant"
    return Change(kind, f"{value!r} -> {other!r}", lambda node: setattr(node, "value", other))


def _is_update(method: ast.Attribute) -> bool:
    """Tells whether it is a method of `array.at[index]`."""
    return isinstance(method.value, ast.Subscript) and ast.unparse(method.value.value).endswith(".at")


def _relatives(name: str, families: str) -> list[str]:
    """Returns the other functions of the families to which the name belongs."""
    names = [family.split() for family in families.split(";")]
    return [other for family in names if name in family for other in family if other != name]


def _function(name: str, other: str) -> Change:
    def apply(node: Any) -> None:
        node = node.func if isinstance(node, ast.Call) else node
        node.attr = other

    return Change("function", f"{name} -> {other}", apply)
