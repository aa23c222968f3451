"""How fast: jitted JAX against PyTorch, one step or a whole epoch, and only where both compute the same."""

from parity.bench.epochs import epoch_comparison as epoch_comparison
from parity.bench.epochs import epoch_json as epoch_json
from parity.bench.epochs import epoch_table as epoch_table
from parity.bench.programs import cpu_threads as cpu_threads
from parity.bench.report import bench_picture as bench_picture
from parity.bench.report import bench_table as bench_table
from parity.bench.steps import bench_cases as bench_cases
from parity.bench.steps import to_json as to_json
