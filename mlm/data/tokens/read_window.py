"""The window of a token store that training reads at once, in blocks that lie together.

The order of an epoch shuffles blocks, then the sequences of a window of blocks; a store that is
read over a network keeps a window's blocks.
"""

BLOCK = 1 << 19  # tokens
BLOCKS_A_WINDOW = 64
