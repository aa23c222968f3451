"""Thresholds of all forms: from which shape on each is faster than plain `lax`, as measured on two CPUs with AVX-512.

`parity/bench/TRIED.md` has the figures. Shapes: images (batch, height, width, inputs), result (batch, rows, columns,
outputs), kernel (kernel_height, kernel_width, inputs, outputs).
"""

# Band matrix (`band.py`): inputs < BAND_INPUTS. With more, its zeros cost more than the short sums of `lax`.
BAND_INPUTS = 8
# Images of several channels: numbers <= BAND_NUMBERS. More patches than a cache holds take longer than short sums.
BAND_NUMBERS = 2**19
# Pixels of the band: BAND_COLUMNS // outputs, at least 2. Wider bands hold more zeros, narrower ones make thin
# products.
BAND_COLUMNS = 24

# Gradient of a dense kernel as a convolution (`dense.py`): min(inputs, outputs) <= NARROW_SIDE. With up to 1024
# GoogLeNet would gain, and ViT lose.
NARROW_SIDE = 64

# Input gradient by columns (`direct.py`): batch * rows * columns < COLUMNS_PER_OUTPUT * outputs. To flip a kernel so
# large beside its images takes longer than the product.
COLUMNS_PER_OUTPUT = 4

# Winograd (`winograd.py`): strides of 1; at least WINOGRAD_BITS, since it subtracts rows from each other;
WINOGRAD_BITS = 32
# multiplications <= WINOGRAD_SHARE * direct ones, batch * rows * columns >= WINOGRAD_PIXELS, and
# inputs * outputs >= WINOGRAD_CHANNELS * (inputs + outputs): else combining rows takes longer than it saves.
WINOGRAD_SHARE = 0.75
WINOGRAD_PIXELS = 512
WINOGRAD_CHANNELS = 10
# From WINOGRAD_NUMBERS numbers of images and result on, which no cache holds, it is WINOGRAD_WIDE in that place.
WINOGRAD_NUMBERS = 2**21
WINOGRAD_WIDE = 20
# Its kernel gradient transposes images before it combines their rows: batch < WINOGRAD_BATCH.
WINOGRAD_BATCH = 16

# Sums (`sums.py`) along lines of the largest divisor <= LINE_LONGEST, if that is >= LINE_SHORTEST: XLA:CPU works on
# several features at once only where LLVM unrolls the loop along a line, with all that is fused into it.
LINE_LONGEST = 8
LINE_SHORTEST = 4
# Sums over rows, as products with ones: short rows side by side, as many as make at most ROW_LONGEST numbers.
ROW_LONGEST = 192
# Sums in one loop: a 3x3 window's. More do not fit into the registers.
SUMS_AT_ONCE = 9

# LSTM gates (`nn/recurrent/steps.py`) are copied before use: hidden >= LSTM_HIDDEN. XLA:CPU vectorises no fewer.
LSTM_HIDDEN = 64

# Rows (`rows.py`) are summed as products with ones: length >= LONG_ROW.
LONG_ROW = 512
