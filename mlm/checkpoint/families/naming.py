"""The tensor names of one dense layer or norm: ours <-> PyTorch's, as families spell them."""

Names = dict[str, tuple[str, ...]]  # our variable -> the family's tensor or tensors


def dense(ours: str, *theirs: str, bias: bool = True) -> Names:
    """A dense layer, or several over there that are one product here."""
    names: Names = {f"{ours}/kernel": tuple(f"{name}.weight" for name in theirs)}
    return names | {f"{ours}/bias": tuple(f"{name}.bias" for name in theirs)} if bias else names


def norm(ours: str, theirs: str, bias: bool = True) -> Names:
    """A layer norm, whose `gamma` and `beta` are PyTorch's weight and bias."""
    names: Names = {f"{ours}/gamma": (f"{theirs}.weight",)}
    return names | {f"{ours}/beta": (f"{theirs}.bias",)} if bias else names


def embeddings(theirs: str, *tables: str) -> Names:
    """The embeddings' tables (`word`, `position`, `token_type`) and their norm."""
    names: Names = {
        f"embeddings/{table}_embeddings": (f"{theirs}.{table}_embeddings.weight",)
        for table in tables
    }
    return names | norm("embeddings/norm", f"{theirs}.LayerNorm")
