"""Links the names of other libraries in the API reference to their documentation.

Sphinx's own way, intersphinx, downloads an index of names whenever the site is built.
The few names that our signatures and docstrings use are listed here instead. A name
that is not here fails the build, as a misspelt one of ours does.
"""

from __future__ import annotations

import builtins

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment

PYTHON = "https://docs.python.org/3/library/"
TORCH = "https://docs.pytorch.org/docs/stable/"

PAGES = {
    "Any": PYTHON + "typing.html#typing.Any",
    "Literal": PYTHON + "typing.html#typing.Literal",
    "Callable": PYTHON + "collections.abc.html#collections.abc.Callable",
    "Iterable": PYTHON + "collections.abc.html#collections.abc.Iterable",
    "Iterator": PYTHON + "collections.abc.html#collections.abc.Iterator",
    "Mapping": PYTHON + "collections.abc.html#collections.abc.Mapping",
    "Sequence": PYTHON + "collections.abc.html#collections.abc.Sequence",
    "PathLike": PYTHON + "os.html#os.PathLike",
    "Path": PYTHON + "pathlib.html#pathlib.Path",
    "Tensor": TORCH + "tensors.html#torch.Tensor",
    "Module": TORCH + "generated/torch.nn.Module.html",
    "Conv2d": TORCH + "generated/torch.nn.Conv2d.html",
    "Generator": TORCH + "generated/torch.Generator.html",
    "device": TORCH + "tensor_attributes.html#torch.device",
    "dtype": TORCH + "tensor_attributes.html#torch.dtype",
    "ndarray": "https://numpy.org/doc/stable/reference/generated/numpy.ndarray.html",
    "Image": "https://pillow.readthedocs.io/en/stable/reference/Image.html#PIL.Image.Image",
    "Figure": "https://matplotlib.org/stable/api/_as_gen/matplotlib.figure.Figure.html",
}


def page_of(name: str) -> str | None:
    """The address of the page that documents `name`, or None."""
    short = name.rpartition(".")[2]
    found = getattr(builtins, name, None)
    if isinstance(found, type):
        page = "exceptions" if issubclass(found, BaseException) else "stdtypes"
        page = (
            "functions"
            if name in ("object", "property", "type", "bool", "float")
            else page
        )
        return f"{PYTHON}{page}.html#{name}"
    return f"{PYTHON}constants.html#None" if name == "None" else PAGES.get(short)


def resolve(
    app: Sphinx, env: BuildEnvironment, node: pending_xref, content: nodes.TextElement
) -> nodes.reference | None:
    page = page_of(node.get("reftarget", "")) if node.get("refdomain") == "py" else None
    return (
        None
        if page is None
        else nodes.reference("", "", content, internal=False, refuri=page)
    )


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("missing-reference", resolve)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
