"""Size of the read window: the part of a token store that is shuffled and read at a time.

The order of an epoch shuffles blocks of consecutive sequences, then the sequences within each
window of blocks (DataOrder). The cache of a remote store holds the blocks of one window.
"""

BLOCK_TOKENS = 1 << 19
BLOCKS_PER_WINDOW = 64
