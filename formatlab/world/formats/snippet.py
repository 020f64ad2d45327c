"""Python as models write it: whole, cut off, or with prose below it; and what its answer is."""

import ast
import re
import textwrap
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import regex

_LONGEST = 50_000
"""Characters beyond which code is not parsed; bounds the work."""

_LINE = regex.compile(
    r"[ \t]*+(?:#|>>> |@\w|(?:import|from)\s+\w|(?:async\s+)?def\s+\w+\s*\(|class\s+\w+\s*[:(]"
    r"|(?:for\s.{1,200}\sin\s|(?:while|if|elif|with)[\s(]).{0,300}:\s*(?:#.*)?$"
    r"|(?:(?:const|let|var)\s+\w+\s*=|(?:public|private)\s+\w|package\s+\w+|(?:console|fmt"
    r"|System)\.)"
    r"|(?:else|try|finally|except\b[^:\n]{0,80})\s*:|return\b"
    r"|(?:pass|break|continue)\s*$|(?:print|assert|global|raise|del)[ (]"
    r"|[A-Za-z_]\w*+(?:\.\w++|\[[^\]\n]{0,80}+\])*+(?:\s*+,\s*+[A-Za-z_]\w*+)*+(?:\s*+:\s*+\w++)?+"
    r"\s*+(?://|\*\*|[-+*/%])?=(?!=)\s*+[^\s=][^=\n]*+(?:(?:[=!<>]="
    r"|(?<=[(,]\s?\w{1,30})=)[^=\n]*+)*+$"
    r"|[\d\s().]*\d\)?\s*+[-+*/%]\s*+[\d(][\d\s().+*/%-]*+$"
    r"|[A-Za-z_]\w*+(?:\.\w++)*+\([^\n]*\)\s*$|[)\]}]++\s*$)"
)
"""A line that is code by itself."""

_SURE = regex.compile(
    r"[ \t]*+(?:>>> |@\w|(?:import|from)\s+\w+(?:\s|$)"
    r"|(?:for|while|if|elif|with|else|try)\b[^\n]*:\s*(?:#.*)?$"
    r"|(?:async\s+)?def\s|class\s+\w+\s*[:(]|(?:const|let|var)\s+\w+\s*=|[\w.]+\([^\n]*\)\s*;?\s*$"
    r"|print\s*\(|return\b|[A-Za-z_]\w*\s*[-+*/]=)"
)
"""A line that is nothing else than code, which `x = 5` may well be."""

_UNFINISHED = tuple("=+-*/(,[{<%\\")
_STATES = regex.compile(
    r"\banswer\b|\\boxed|####|\b(?:so|thus|therefore|hence)\b[^\n]*\d", regex.IGNORECASE
)
"""Words behind lines of sums that say the answer."""

_DEFINITION = regex.compile(
    r"^[ \t]*+(?:(?:(?:async[ \t]++)?def|function|func|fn)[ \t]++\w++[ \t]*+\("
    r"|(?:const|let|var)[ \t]++\w++[ \t]*+=[ \t]*+(?:async[ \t]*+)?\([^()\n]{0,100}+\)[ \t]*+=>"
    r"|(?:(?:public|static|int|long|float|double|void|auto)[ \t]++){1,4}+\w++\([^;{\n]{0,200}+\{)",
    regex.MULTILINE,
)
_PREAMBLE = regex.compile(r"(?:[ \t]*+(?:(?:#|@|import[ \t]|from[ \t]|class[ \t])[^\n]*+)?\n)*+")
"""Blank lines, comments, imports and decorators that may stand before the first definition."""

_INSIDE = regex.compile(r"[ \t]+(?:\"{3}|'{3}|#|[A-Za-z_]\w*+\s*+=[^=])")
_RETURN = regex.compile(r"^[ \t]+return\b", regex.MULTILINE)
_SENTENCE = regex.compile(r"[\s*]*+\p{L}[\p{L}'’]*+(?:[ ,]+[^\s,]++){2,}[.!]?[*\s]*+\Z")
_LANGUAGE = regex.compile(r"\A(?:python|py)\n")
_WORKED = regex.compile(r"<<[^<>\n]{1,80}=|^####[ \t]*+[-$\d]|^A:", regex.MULTILINE)
"""Marks of GSM8K, which make lines of sums an answer in prose."""

_DUBIOUS = re.compile(r"\\|[0-9]\.?[A-Za-z_]|finally")
"""What Python may warn of where it parses: escapes, numbers run into words, ends of `try`. To keep
warnings from being shown takes as long as to parse a short program."""

_ANSWER_NAMES = ("ans", "answer", "final_answer", "result")
"""Variables that hold the answer by convention, where the last statement does not tell."""

_SHARE = 0.6
"""Share of a text's lines that are code, from which a text that begins as code is code."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Snippet:
    """Code that a text begins with."""

    source: str
    """The code, without what follows it where that is no code."""
    module: ast.Module | None
    """The code parsed; None where it cannot be."""
    complete: bool
    """Whether the code does not break off: it parses, or goes wrong before its last line."""
    defines: bool
    """Whether the code defines a function."""

    @classmethod
    def opening(cls, text: str) -> "Snippet | None":
        """The code that a text consists of or begins with; None where it does not."""
        spaced = text[:1].isspace()
        if spaced and _INSIDE.match(text) and _RETURN.search(text):
            return cls.parse(f"def solution():\n{text}")  # the prompt ended with the head
        code = textwrap.dedent(text).strip() if spaced else text.strip()
        if code.startswith("py"):
            code = _LANGUAGE.sub("", code)
        if code.startswith((">>> ", "In [")):
            return cls.parse(code)
        preamble = _PREAMBLE.match(code)
        start = preamble.end() if preamble else 0
        defines = _DEFINITION.match(code, start) is not None
        if not defines:
            lines = [line for line in code[:_LONGEST].split("\n") if line.strip()]
            if not lines or not _is_code(lines[0]):
                return None
            if not any(_is_code(line) for line in lines if line.lstrip()[:1] not in "#)]}"):
                return None  # headings in Markdown begin like comments
            coded = sum(map(_is_code, lines))
            snippet = cls.parse(code)
            whole = snippet.module is not None and snippet.source == code
            if coded < _SHARE * len(lines) and not whole:
                return None
            if len(lines) == 1 and not _does_something(snippet.module):
                return None
            if snippet.module is None and (_is_sentence(lines[-1]) or "\\boxed" in code):
                return None  # worked equations, with the answer said or boxed below them
            if _WORKED.search(code) or _annotates(snippet.module):
                return None  # sums that happen to look like assignments
            if not whole and snippet._is_worked_lines(code, lines):
                return None
            return snippet
        return cls.parse(code)

    @classmethod
    def parse(cls, text: str) -> "Snippet":
        """Take a text as code, up to a line that is none.

        What is no code may follow it, but not stand in it: only a line that is not indented can
        end the code.
        """
        code = textwrap.dedent(text).strip() if text[:1].isspace() else text.strip()
        defines = _DEFINITION.search(code) is not None
        module, error = _parsed(code)
        complete = module is not None
        if error is not None and error.lineno is not None:
            lines = code.split("\n")
            wrong = lines[error.lineno - 1] if error.lineno <= len(lines) else ""
            complete = error.lineno < len(lines)
            if error.lineno > 1 and wrong[:1].strip() and not _is_code(wrong):
                shorter = "\n".join(lines[: error.lineno - 1]).rstrip()
                module, _ = _parsed(shorter)
                if module is not None:
                    code, complete = shorter, True
            if module is None and (before := code.rfind("\ndef ")) > 0:
                # a model that goes on with the next problem may be cut off in its function
                module, _ = _parsed(code[:before])
                code = code[:before] if module is not None else code
        return cls(source=code, module=module, complete=complete, defines=defines)

    def _is_worked_lines(self, text: str, lines: list[str]) -> bool:
        """Whether lines such as `n = 2k` are mathematics in words rather than code.

        They are where no line could be nothing else than code, and where they do not parse though
        they do not break off, or calculate nothing, or are followed by a statement of the answer.
        """
        if any(_SURE.match(line) and len(line) <= 500 for line in lines):
            return False
        if self.module is None:
            return not text.endswith(_UNFINISHED) and text.count("(") <= text.count(")")
        after = text[len(self.source) :]
        return not _does_something(self.module) or _STATES.search(after[:2000]) is not None

    @property
    def lines(self) -> int:
        """Number of lines of the code."""
        return self.source.count("\n") + 1

    def call(self) -> str | None:
        """The code up to the end of its last function that can be called, and a call of it.

        What models write below it calls the function too, prints, and often binds its name anew.
        Where every function needs arguments, the code as a script. None where there is no answer.
        """
        if self.module is None:
            return None
        functions = [node for node in self.module.body if isinstance(node, ast.FunctionDef)]
        lazy = "yield" in self.source
        for function in reversed(functions):
            if not _needs_arguments(function) and not (lazy and _generates(function)):
                if not _gives(function):
                    return None
                kept = self.source.split("\n")[: functions[-1].end_lineno]
                return "\n".join([*kept, f"{function.name}()"])
        return self.script()

    def script(self) -> str | None:
        """The code, followed by the variable that holds the answer where it does not end in it.

        The answer is the value of a last expression, or the last line printed, or the variable
        assigned last. None where there is none of these.
        """
        if self.module is None or not self.module.body:
            return None
        last = self.module.body[-1]
        if isinstance(last, ast.Expr):
            return None if isinstance(last.value, ast.Constant) else self.source
        assigned = [name for node in self.module.body for name in _assigned(node)]
        named = _named(assigned)
        if named:
            return f"{self.source}\n{named[0]}"
        if "print" in self.source and any(_prints(node) for node in self.module.body):
            return self.source
        return f"{self.source}\n{assigned[-1]}" if assigned else None

    def other_answers(self) -> tuple[str, ...]:
        """What the code gives as answers beside `call` or `script`, each as code of its own.

        Of a program: constants that are printed, or bound to an answer's name, below its last
        function. Of a script: further variables with an answer's name of which nothing is made.
        """
        if self.module is None:
            return ()
        if self.defines:
            return tuple(_constants(self.module))
        if not self.module.body:
            return ()
        assigned = [name for node in self.module.body for name in _assigned(node)]
        first = 0 if isinstance(self.module.body[-1], ast.Expr) else 1
        others = _named(assigned)[first:]
        if not others:
            return ()
        used = {
            node.id
            for node in ast.walk(self.module)
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)
        }
        return tuple(f"{self.source}\n{name}" for name in others if name not in used)


def _named(assigned: Sequence[str]) -> list[str]:
    """The answer's names among the variables that are assigned."""
    return [name for name in _ANSWER_NAMES if name in assigned]


def _constants(module: ast.Module) -> Iterator[str]:
    """Constants that are given as answers below the last function of a program."""
    functions = [n for n, node in enumerate(module.body) if isinstance(node, ast.FunctionDef)]
    for node in module.body[functions[-1] + 1 :] if functions else ():
        match node:
            case ast.Expr(value=ast.Call(func=ast.Name(id="print"), args=[value], keywords=[])):
                pass
            case ast.Assign(targets=[ast.Name(id=name)], value=value) if name in _ANSWER_NAMES:
                pass
            case _:
                continue
        parts = list(ast.walk(value))
        if any(isinstance(part, ast.Name | ast.Call) for part in parts):
            continue
        texts = [p.value for p in parts if isinstance(p, ast.Constant) and isinstance(p.value, str)]
        code = ast.unparse(value)
        if any(map(str.isdigit, code)) and all("answer" in text.lower() for text in texts):
            yield code


def _is_sentence(line: str) -> bool:
    """Whether a line is a sentence in words, and no code."""
    return not _is_code(line) and _SENTENCE.match(line) is not None


def gives_answer(code: str) -> bool:
    """Whether code is all there: it parses, and its last statement gives a value or prints one."""
    code = textwrap.dedent(code).strip()
    snippet = Snippet.parse(code)
    if snippet.module is None or not snippet.module.body or snippet.source != code:
        return False
    last: ast.stmt = snippet.module.body[-1]
    while isinstance(
        last, ast.FunctionDef | ast.For | ast.While | ast.If | ast.With | ast.ClassDef
    ):
        last = last.body[-1]
    if isinstance(last, ast.Expr):
        if isinstance(last.value, ast.Name):  # one that nothing binds is the beginning of a line
            return last.value.id in {
                name for node in snippet.module.body for name in _assigned(node)
            }
        return not isinstance(last.value, ast.Constant)
    return _returns(last) or not set(_ANSWER_NAMES).isdisjoint(_assigned(last))


def _is_code(line: str) -> bool:
    line = line.split(";", 1)[0]
    return len(line) <= 500 and _LINE.match(line) is not None


@lru_cache(maxsize=4)  # whether a part of a text is whole is asked before what it gives
def _parsed(code: str) -> tuple[ast.Module | None, SyntaxError | None]:
    if len(code) > _LONGEST:
        return None, None
    try:
        if _DUBIOUS.search(code) is None:
            return ast.parse(code), None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(code), None
    except SyntaxError as error:
        return None, error.with_traceback(None)
    except (ValueError, RecursionError, MemoryError):
        return None, None


def _does_something(module: ast.Module | None) -> bool:
    """Whether one line of code calculates or calls; `x = 5` alone does not."""
    kinds = (ast.BinOp, ast.Call, ast.Import, ast.ImportFrom)
    return module is not None and any(isinstance(node, kinds) for node in ast.walk(module))


def _annotates(module: ast.Module | None) -> bool:
    """Whether a line such as `Answer: 18` stands among the code, which Python takes for a hint."""
    return module is not None and any(
        isinstance(node, ast.AnnAssign) and node.value is None for node in module.body
    )


def _needs_arguments(function: ast.FunctionDef) -> bool:
    positional = len(function.args.posonlyargs) + len(function.args.args)
    return positional > len(function.args.defaults) or None in function.args.kw_defaults


def _gives(function: ast.FunctionDef) -> bool:
    """Whether the function returns a value or prints something."""
    return any(_returns(node) for node in reversed(function.body)) or any(
        _returns(node) or _is_print(node) for node in ast.walk(function)
    )


def _generates(function: ast.FunctionDef) -> bool:
    return any(isinstance(node, ast.Yield | ast.YieldFrom) for node in ast.walk(function))


def _returns(node: ast.AST) -> bool:
    return isinstance(node, ast.Return) and node.value is not None


def _prints(node: ast.stmt) -> bool:
    return any(map(_is_print, ast.walk(node)))


def _is_print(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    )


def _assigned(node: ast.stmt) -> list[str]:
    """Plain names that a statement binds."""
    match node:
        case ast.Assign(targets=targets):
            pass
        case ast.AugAssign(target=target) | ast.AnnAssign(target=target):
            targets = [target]
        case ast.For(body=body) | ast.While(body=body) | ast.If(body=body):
            return [name for inner in body for name in _assigned(inner)]
        case _:
            return []
    return [target.id for target in targets if isinstance(target, ast.Name)]
