"""How much of a scene a GPU takes at once."""

import torch

BYTES_PER_PIXEL = 600  # of a read on the GPU: 172 and 92 with the shipped models, 440 with a MobileNet's U-Net
SHARE = 0.5  # of the memory that is free may go into one batch: the next one is uploaded beside it
BUSY_PIXELS = 2**23  # of a batch; twice as many run 6 % faster, but keep the GPU waiting for the first and the last
LARGEST_READ = 2**24  # px; 128 channels of it stay below the 2³¹ values that kernels count in 32 bits


def free_memory(device: torch.device) -> int:
    """Give the bytes of a GPU that this process may still take, those that its cache holds included."""
    free, _ = torch.cuda.mem_get_info(device)
    return free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)


def fitting_batch(shape: tuple[int, int], device: torch.device) -> int:
    """Give how many reads of a shape keep a GPU busy and fit into the memory that is free; at least 1."""
    pixels = shape[0] * shape[1]
    room = int(free_memory(device) * SHARE) // (pixels * BYTES_PER_PIXEL)
    return max(1, min(round(BUSY_PIXELS / pixels), room))


def read_room(device: torch.device) -> int:
    """Give the pixels that one read may have."""
    return min(LARGEST_READ, int(free_memory(device) * SHARE) // BYTES_PER_PIXEL)
