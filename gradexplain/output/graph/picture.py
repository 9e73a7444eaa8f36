"""What is drawn of a derivation, whatever draws it: nodes and edges with their texts, fewer of a large graph."""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from gradexplain.output.derivation.lines import product as vector_product
from gradexplain.output.derivation.lines import with_products
from gradexplain.output.graph.collapse import Contracted, contract, kept_nodes
from gradexplain.output.numbers import short, show, show_pair, sizes
from gradexplain.records import BackwardRow, Contribution, Derivation, ForwardRow, Gradient, Input
from gradexplain.tensor import Tensor

# How many nodes a picture has at most.
MAX_NODES = 60
LONGEST_LABEL = 200
LONGEST_FORMULA = 60
VECTOR_JACOBIAN = "vector-Jacobian product"
UNMARKED = frozenset(("agrees", "unverified"))
INPUT, CONSTANT, OPERATION, OBJECTIVE = "input", "constant", "operation", "objective"


@dataclass(frozen=True, slots=True)
class PictureNode:
    """A node: what it is, its formula and its numbers as text; `gradient` is empty where there is none.

    `kind` is INPUT, CONSTANT, OPERATION or OBJECTIVE, `operation` the rule; `verdict` says in words what is
    questionable, `reason` why; `hidden` counts the nodes left out between this one and those that lead to it.
    """

    name: str
    kind: str
    operation: str
    expression: str
    value: str
    partial: str
    gradient: str
    verdict: str
    reason: str
    hidden: int

    @property
    def formula(self) -> str:
        """The name, and what it is where it is computed.

        >>> PictureNode("v1", OPERATION, "mul", "w*x", "2", "", "", "", "", 0).formula
        'v1 = w*x'
        """
        return f"{self.name} = {self.expression}" if self.expression else self.name


@dataclass(frozen=True, slots=True)
class PictureEdge:
    """An edge, by the numbers of its nodes: its local derivative, and upstream · local = contribution.

    All are text, and empty where no gradient goes along the edge; `hidden` where it leads through nodes left out.
    """

    source: int
    target: int
    local: str = ""
    upstream: str = ""
    local_value: str = ""
    contribution: str = ""
    hidden: bool = False
    # What `local` is, in full.
    kind: str = "local derivative"

    @property
    def label(self) -> str:
        """What stands on the edge: the local derivative, or the product of the upstream gradient with it.

        >>> PictureEdge(0, 1, "2*v3").label, PictureEdge(0, 1, "g @ v1.T", kind=VECTOR_JACOBIAN).label
        ('local 2*v3', 'g @ v1.T')
        """
        return self.local if self.kind == VECTOR_JACOBIAN or not self.local else f"local {self.local}"


@dataclass(frozen=True, slots=True)
class Picture:
    """All that is drawn: the nodes, each after those that it reads, the edges, and remarks in words."""

    heading: str
    nodes: tuple[PictureNode, ...]
    edges: tuple[PictureEdge, ...]
    notes: tuple[str, ...]


def picture(derivation: Derivation, most: int = MAX_NODES) -> Picture:
    """The picture of a derivation, with at most about `most` nodes.

    >>> from gradexplain import derive
    >>> drawn = picture(derive("x*x", "x=3"))
    >>> [node.formula for node in drawn.nodes], [edge.contribution for edge in drawn.edges]
    (['x', 'L = x*x'], ['3', '3'])
    """
    forward = {row.node: row for row in derivation.nodes}
    names = [*(name for name in derivation.inputs if name not in forward), *forward]
    number = {name: k for k, name in enumerate(names)}
    reads = [
        [number[name] for name in forward[own].inputs if name in number] if own in forward else [] for own in names
    ]
    statements = dict(statement.split(" = ", 1) for statement in derivation.statements)
    kept = kept_nodes(names, reads, derivation.objective, statements, most)
    shown = contract(reads, kept)
    texts = _Texts(derivation, forward, statements if len(kept) < len(names) else {})
    place = {k: at for at, k in enumerate(kept)}
    nodes = tuple(texts.node(names[k], not reads[k], shown.hidden[k]) for k in kept)
    edges = [edge for k in kept for edge in texts.edges(names, shown, k, place)]
    left_out = len(names) - len(kept)
    notes = list(_remarks(derivation))
    if left_out:
        what = "node is" if left_out == 1 else "nodes are"
        notes.insert(0, f"{left_out:,} of {len(names):,} {what} left out (--format json has all of them)")
    heading = "; ".join(derivation.statements)
    return Picture(shortened(heading, 10 * LONGEST_LABEL), nodes, tuple(edges), tuple(notes))


def _remarks(derivation: Derivation) -> Iterable[str]:
    if derivation.missing:
        yield f"no value for {shortened(', '.join(derivation.missing))}"


class _Texts:
    """Writes what the record says of a node or an edge; `statements` stand for formulas with nodes left out."""

    def __init__(self, derivation: Derivation, forward: dict[str, ForwardRow], statements: dict[str, str]) -> None:
        self.derivation, self.forward, self.statements = derivation, forward, statements
        self.products = with_products(derivation)
        self.sums: dict[str, BackwardRow | Gradient] = {row.node: row for row in derivation.backward}
        self.sums |= derivation.gradient
        self.contributions: dict[tuple[str, str], list[Contribution]] = defaultdict(list)
        for row in derivation.backward:
            for entry in row.contributions:
                self.contributions[row.node, entry.through].append(entry)

    def node(self, name: str, reads_nothing: bool, hidden: int) -> PictureNode:
        row, total = self.forward.get(name), self.sums.get(name)
        kind = OPERATION
        if name == self.derivation.objective:
            kind = OBJECTIVE
        elif row is None:
            kind = INPUT
        elif reads_nothing:
            kind = CONSTANT
        partial, gradient, verdict, reason = "", "", "", ""
        if total is not None:
            partial = total.partial
            gradient, autograd = show_pair(total.value, total.autograd, total.verdict)
            if isinstance(total.value, Tensor):
                gradient = short(total.value)
            if total.verdict not in UNMARKED:
                verdict = f"{total.verdict}: autograd has {autograd}" if autograd else total.verdict
                reason = total.began.reason if total.began else ""
        elif kind == OBJECTIVE:
            partial = f"∂{name}/∂{name}"
            gradient = short(self.derivation.upstream)
        expression = "" if row is None else row.expression
        if hidden:
            expression = self.statements.get(name, expression)
        value = self._value(self.derivation.inputs[name] if row is None else row)
        rule = "" if row is None else row.rule
        return PictureNode(name, kind, rule, expression, value, partial, gradient, verdict, reason, hidden)

    def _value(self, entry: Input | ForwardRow) -> str:
        """A number; of a tensor the shape, and behind it the numbers of a small one."""
        if not entry.shape:
            return show(entry.value)
        return f"{sizes(entry.shape)}: {short(entry.value)}" if entry.value is not None else sizes(entry.shape)

    def edges(self, names: list[str], shown: Contracted, k: int, place: dict[int, int]) -> Iterable[PictureEdge]:
        """The edges that lead to node `k`, in the order of its inputs, then those through nodes left out."""
        count: dict[int, int] = defaultdict(int)
        direct = shown.direct[k]
        for j in direct:
            entries = self.contributions.get((names[j], names[k]), [])
            # Through an input that only chooses, such as a condition, comes nothing; it is the first of them.
            at = count[j] - (direct.count(j) - len(entries))
            count[j] += 1
            if at < 0:
                yield PictureEdge(place[j], place[k])
                continue
            entry = entries[at]
            if self.products:
                yield PictureEdge(place[j], place[k], vector_product(self.derivation, entry), kind=VECTOR_JACOBIAN)
                continue
            local = show(entry.local_value)
            upstream = show(entry.upstream)
            yield PictureEdge(place[j], place[k], entry.local, upstream, local, show(entry.value))
        for j in shown.through[k]:
            yield PictureEdge(place[j], place[k], hidden=True)


def shortened(text: str, longest: int = LONGEST_LABEL) -> str:
    """The text without its middle where it is longer than `longest` characters.

    >>> shortened("abcdefghij", 5)
    'ab…ij'
    """
    half = longest // 2
    return text if len(text) <= longest else f"{text[:half]}…{text[-half:]}"


def in_order(text: str) -> str:
    """The text with a mark after each letter that is read from right to left, so that formulas keep their order."""
    if text.isascii():
        return text
    return "".join(f"{c}\u200e" if unicodedata.bidirectional(c) in ("R", "AL") else c for c in text)


def product(edge: PictureEdge) -> str:
    """Upstream gradient times local derivative and what it gives, as far as there are numbers.

    >>> product(PictureEdge(0, 1, "2*v3", "1", "4", "4")), product(PictureEdge(0, 1, "w", "", "3", ""))
    ('1 · 4 = 4', '')
    """
    if not edge.upstream or not edge.local_value:
        return ""
    return f"{edge.upstream} · {edge.local_value} = {edge.contribution}"


def caption(node: PictureNode) -> str:
    """What a node is: its operation, or another kind of node.

    >>> caption(PictureNode("L", OBJECTIVE, "pow", "x**2", "4", "", "", "", "", 0))
    'objective pow'
    """
    if node.kind == OPERATION:
        return node.operation
    return f"{node.kind} {node.operation}" if node.kind == OBJECTIVE and node.operation else node.kind


def node_label(node: PictureNode) -> list[str]:
    """The label of a node for programs that do the layout themselves."""
    lines = [caption(node), shortened(node.formula, LONGEST_FORMULA), node.value or "no value"]
    lines += [f"{node.hidden:,} left out"] if node.hidden else []
    lines += [f"{shortened(node.partial, LONGEST_FORMULA)} = {node.gradient or '?'}"] if node.partial else []
    return lines + [part for part in node.verdict.split(": ") if part]


def edge_label(edge: PictureEdge) -> list[str]:
    """The label of an edge for the same."""
    return [line for line in (shortened(edge.label, LONGEST_FORMULA), product(edge)) if line]


def spoken(node: PictureNode) -> list[str]:
    """All that is known of a node, in full."""
    lines = [f"{node.kind} {node.formula}", f"value {node.value or 'unknown'}"]
    lines += [f"{node.partial} = {node.gradient or '?'}"] if node.partial else []
    return lines + [part for part in (node.verdict, node.reason) if part]
