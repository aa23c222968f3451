"""Images changed at random while a model learns from them: pure functions of draws, with torchvision's semantics.

Batches are (batch, height, width, channels), bytes or floating-point numbers from 0 to 1, and each image has draws of
its own. `transform(key, images)` draws and applies; `transform.apply(images, draws)` takes the numbers from anywhere.
"""

from d2l_jax.augment.cases import Augment as Augment
from d2l_jax.augment.crops import CropNumbers as CropNumbers
from d2l_jax.augment.crops import RandomResizedCrop as RandomResizedCrop
from d2l_jax.augment.fixed import CenterCrop as CenterCrop
from d2l_jax.augment.fixed import Normalize as Normalize
from d2l_jax.augment.fixed import Resize as Resize
from d2l_jax.augment.fixed import ToFloat as ToFloat
from d2l_jax.augment.flips import RandomHorizontalFlip as RandomHorizontalFlip
from d2l_jax.augment.flips import RandomVerticalFlip as RandomVerticalFlip
from d2l_jax.augment.geometry import Crop as Crop
from d2l_jax.augment.jitter import ColorJitter as ColorJitter
from d2l_jax.augment.jitter import Jitter as Jitter
from d2l_jax.augment.transform import Compose as Compose
from d2l_jax.augment.transform import Transform as Transform
