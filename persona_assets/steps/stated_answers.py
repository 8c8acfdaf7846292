"""Programs that state their answer instead of computing it, such as `answer = 42`.

A program of thought is a vote because it computes. A program whose answer is a literal repeats what
the model had in mind, and agrees with that model's solution for a bad reason.
"""

import ast
import builtins
import warnings
from collections.abc import Iterator, Sequence

VERSION = "1"
"""VERSION of the rule, bumped by hand when its results change: part of a code version."""

CONSTRUCTORS = frozenset(
    {
        *("int", "float", "complex", "str", "tuple", "list", "set", "Fraction", "Decimal"),
        *("Integer", "Rational", "Float", "S", "sympify"),
    }
)
"""Functions that write a value down; of literals they compute nothing."""

DEEPEST = 50
"""Most names and functions that are followed from an answer."""


def states_answer(program: str) -> bool:
    """Return True if a program's answer is a literal, whatever else the program computes.

    The answer is the variable `answer`, or else the last printed line. Names are followed to the
    values assigned to them, and calls of the program's own functions without arguments to their
    returned value. An operator on values, a condition, a loop or any other call is a computation:
    `print(6 * 7)` computes.

    Args:
        program: Source of a program; one that Python cannot read states nothing.

    Example:
        >>> states_answer("rope = 6 * 7\\nanswer = 42"), states_answer("print('it is', 42)")
        (True, True)
        >>> states_answer("print(6 * 7)"), states_answer("answer = 1 if 2 ** 5 > 30 else 0")
        (False, False)
    """
    try:
        with warnings.catch_warnings():
            # Such as an escape that Python does not know.
            warnings.simplefilter("ignore")
            tree = ast.parse(program)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    module = _Scope(tree.body, functions)
    try:
        if "answer" in module.bound:
            return module.is_literal(ast.Name("answer", ast.Load()), DEEPEST)
        return module.prints_literal(DEEPEST)
    except RecursionError:
        return False


class _Scope:
    """Body of a program or of a function.

    Attributes:
        bound: Names that the body binds, in whatever way.
    """

    def __init__(
        self,
        body: Sequence[ast.stmt],
        functions: dict[str, ast.FunctionDef],
        outer: "_Scope | None" = None,
    ) -> None:
        self._functions = functions
        self._outer = outer
        self._body = list(_straight(body))
        self.bound = set(_bound(body))
        plain = [(name, value) for node in self._body for name, value in _assigned(node)]
        self._values = dict(plain)
        # A name that is also bound elsewhere, as in a loop, has a value that something decided.
        for name in self.bound - self._values.keys() | _rebound(body, self._body):
            self._values.pop(name, None)
        passed = _passed(body)
        for name, value in plain:
            # A function may fill a list.
            if name in passed and isinstance(value, (ast.List, ast.Set)):
                self._values.pop(name, None)

    def is_literal(self, value: ast.expr, depth: int) -> bool:
        """Return True if an expression is a literal, or leads to one."""
        if depth == 0:
            return False
        match value:
            case ast.Constant():
                return True
            case ast.Name(id=name):
                return self._names_literal(name, depth - 1)
            case ast.Attribute(value=owner):
                # As math.pi; a part of a computed value is computed.
                return self.is_literal(owner, depth - 1)
            case ast.UnaryOp(operand=operand) | ast.FormattedValue(value=operand):
                return self.is_literal(operand, depth - 1)
            case ast.Tuple(elts=parts) | ast.List(elts=parts) | ast.Set(elts=parts):
                return all(self.is_literal(part, depth - 1) for part in parts)
            case ast.JoinedStr(values=parts):
                return all(self.is_literal(part, depth - 1) for part in parts)
            case ast.Call(func=function, args=arguments, keywords=[]):
                return self._calls_literal(function, arguments, depth - 1)
        return False

    def prints_literal(self, depth: int) -> bool:
        """Return True if the last statement that prints shows literals alone."""
        if depth == 0:
            return False
        for node in reversed(self._body):
            match node:
                case ast.Expr(value=ast.Call(func=ast.Name(id="print"), args=shown)) if shown:
                    return all(self.is_literal(each, depth - 1) for each in shown)
                case ast.Expr(value=ast.Call(func=ast.Name(id=name), args=[], keywords=[])) if (
                    name in self._functions
                ):
                    inner = self._inside(self._functions[name])
                    if inner is None or _prints(self._functions[name]):
                        return inner is not None and inner.prints_literal(depth - 1)
                case ast.FunctionDef() | ast.ClassDef():
                    pass
                case _ if _prints(node):
                    return False
        return False

    def _names_literal(self, name: str, depth: int) -> bool:
        if name in self._values:
            return self.is_literal(self._values[name], depth)
        if name in self.bound:
            return False
        # What no statement binds is a module's or Python's own.
        return self._outer is None or self._outer._names_literal(name, depth)

    def _calls_literal(self, function: ast.expr, arguments: Sequence[ast.expr], depth: int) -> bool:
        name = function.id if isinstance(function, ast.Name) else None
        if name in self._functions and not arguments:
            inner = self._inside(self._functions[name])
            returned = None if inner is None else inner._returned()
            return inner is not None and returned is not None and inner.is_literal(returned, depth)
        called = function.attr if isinstance(function, ast.Attribute) else name
        return (
            called in CONSTRUCTORS
            and bool(arguments)
            and all(self.is_literal(argument, depth) for argument in arguments)
        )

    def _inside(self, function: ast.FunctionDef) -> "_Scope | None":
        """Return the body of a function; None if it has arguments or a decorator."""
        arguments = function.args
        if function.decorator_list or arguments.args or arguments.vararg or arguments.kwarg:
            return None
        return _Scope(function.body, self._functions, self if self._outer is None else self._outer)

    def _returned(self) -> ast.expr | None:
        """Return the value of a function that returns in its last statement alone."""
        last = self._body[-1] if self._body else None
        returns = sum(isinstance(node, ast.Return) for top in self._body for node in ast.walk(top))
        return last.value if isinstance(last, ast.Return) and returns == 1 else None


def _straight(body: Sequence[ast.stmt]) -> Iterator[ast.stmt]:
    """Iterate over statements, with those below `if __name__ == "__main__":` in its place."""
    for node in body:
        match node:
            case ast.If(test=ast.Compare(left=ast.Name(id="__name__")), body=inner):
                yield from inner
            case _:
                yield node


def _assigned(node: ast.stmt) -> Iterator[tuple[str, ast.expr]]:
    """Iterate over the names that a plain assignment binds, and their values."""
    match node:
        case ast.Assign(targets=targets, value=value):
            for target in targets:
                if isinstance(target, ast.Name):
                    yield target.id, value
        case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
            yield name, value


def _bound(body: Sequence[ast.stmt]) -> Iterator[str]:
    """Iterate over the names that statements assign in any way, functions left out."""
    for node in body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            # A function may assign a global name.
            for inner in ast.walk(node):
                if isinstance(inner, ast.Global):
                    yield from inner.names
            continue
        for inner in ast.walk(node):
            if isinstance(inner, ast.Name) and isinstance(inner.ctx, (ast.Store, ast.Del)):
                yield inner.id


def _rebound(body: Sequence[ast.stmt], straight: Sequence[ast.stmt]) -> set[str]:
    """Return the names that something else than a plain assignment binds, such as a loop."""
    plain = {id(node) for node in straight if list(_assigned(node))}
    others = [node for node in straight if id(node) not in plain]
    unpacked = (
        inner.id
        for node in straight
        if isinstance(node, ast.Assign)
        for target in node.targets
        if not isinstance(target, ast.Name)
        for inner in ast.walk(target)
        if isinstance(inner, ast.Name)
    )
    mutated = (
        inner.func.value.id
        for node in body
        for inner in ast.walk(node)
        if isinstance(inner, ast.Call)
        and isinstance(inner.func, ast.Attribute)
        and isinstance(inner.func.value, ast.Name)
    )
    filled = (
        name
        for node in body
        for inner in ast.walk(node)
        if isinstance(inner, (ast.Subscript, ast.Attribute)) and isinstance(inner.ctx, ast.Store)
        for name in _names(inner)
    )
    return {*_bound(others), *unpacked, *mutated, *filled}


def _passed(body: Sequence[ast.stmt]) -> set[str]:
    """Return the names that are passed to functions other than Python's own and constructors."""
    return {
        name
        for node in body
        for inner in ast.walk(node)
        if isinstance(inner, ast.Call) and _may_fill(inner.func)
        for argument in (*inner.args, *(keyword.value for keyword in inner.keywords))
        for name in _names(argument)
    }


def _may_fill(function: ast.expr) -> bool:
    name = function.id if isinstance(function, ast.Name) else None
    return name is None or (name not in CONSTRUCTORS and not hasattr(builtins, name))


def _names(node: ast.expr) -> Iterator[str]:
    return (inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name))


def _prints(node: ast.stmt) -> bool:
    return any(isinstance(inner, ast.Name) and inner.id == "print" for inner in ast.walk(node))
