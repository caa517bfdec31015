"""Tensor names of a dense layer, a norm and the embeddings: our variables <-> PyTorch's tensors."""

Names = dict[str, tuple[str, ...]]  # our variable -> the family's tensor, or several


def dense(ours: str, *theirs: str, bias: bool = True) -> Names:
    """Return the names of a dense layer; several of theirs are one joined layer of ours."""
    names: Names = {f"{ours}/kernel": tuple(f"{name}.weight" for name in theirs)}
    return names | {f"{ours}/bias": tuple(f"{name}.bias" for name in theirs)} if bias else names


def norm(ours: str, theirs: str, bias: bool = True) -> Names:
    """Return the names of a layer norm: `gamma` and `beta` are PyTorch's weight and bias."""
    names: Names = {f"{ours}/gamma": (f"{theirs}.weight",)}
    return names | {f"{ours}/beta": (f"{theirs}.bias",)} if bias else names


def embeddings(theirs: str, *tables: str) -> Names:
    """Return the names of embedding tables (`word`, `position`, `token_type`) and their norm."""
    names: Names = {
        f"embeddings/{table}_embeddings": (f"{theirs}.{table}_embeddings.weight",)
        for table in tables
    }
    return names | norm("embeddings/norm", f"{theirs}.LayerNorm")
