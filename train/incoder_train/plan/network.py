"""Time on the wire: the size of a model, how its weights are sharded, and the links go in; seconds an update come out.

A fully sharded update gathers the low-precision weights twice for each micro-batch, once forwards and once backwards, and
scatters the summed gradients once in fp32. A ring passes (n - 1) / n of the bytes over every link; of all the rings in a
node, one crosses to the next node. With hybrid sharding these rings end inside the group, and once an update the shards
of all groups are summed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from incoder_train.errors import UserError

LINE_RATE = 0.85  # the share of a link's bits that carry data in a good ring
_SPEED = re.compile(r"(?:(\d+)\s*x\s*)?(\d+(?:\.\d+)?)\s*(Gb|GB)(?:/s)?")


@dataclass(frozen=True)
class Cluster:
    gpus: int
    gpus_per_node: int
    node_link: float | None  # bytes a second out of one node; None: one node only
    gpu_link: float  # bytes a second from GPU to GPU in a node

    @property
    def nodes(self) -> int:
        return -(-self.gpus // self.gpus_per_node)


def read_speed(text: str) -> float:
    """'100Gb' or '4x100Gb' in bits, '12GB' in bytes, to bytes a second. Raises UserError."""
    match = _SPEED.fullmatch(text.strip())
    if match is None or float(match[2]) == 0:
        raise UserError(
            f"--net is {text!r}; say the speed of one node's link such as 100Gb, 4x100Gb (bits) or 12GB (bytes)"
        )
    links, speed, unit = match.groups()
    return int(links or 1) * float(speed) * 1e9 / (8 if unit == "Gb" else 1)


def communication_seconds(
    parameters: int,
    cluster: Cluster,
    *,
    shard_group: int,
    micro_steps: int,
    weight_bytes: int = 2,
    reduce_bytes: int = 4,
) -> float:
    """Of one update of `micro_steps` micro-batches, nothing overlapped. Groups of `shard_group` GPUs share one copy."""
    gathered = micro_steps * parameters * (2 * weight_bytes + reduce_bytes)
    inside = _ring_seconds(gathered, shard_group, cluster) if shard_group > 1 else 0.0
    groups = cluster.gpus // shard_group
    if groups == 1:
        return inside
    # Each GPU of a group sums its own shard with its likes: a scatter and a gather, and all these rings share a node's link.
    shards_in_node = min(shard_group, cluster.gpus_per_node)
    summed = 2 * parameters / shard_group * shards_in_node * reduce_bytes * (groups - 1) / groups
    link = cluster.node_link if cluster.node_link and cluster.nodes > 1 else cluster.gpu_link * shards_in_node
    return inside + summed / (LINE_RATE * link)


def _ring_seconds(size: float, ring: int, cluster: Cluster) -> float:
    links = [cluster.gpu_link]
    if ring > cluster.gpus_per_node and cluster.node_link is not None:
        links.append(cluster.node_link)
    return size * (ring - 1) / ring / (LINE_RATE * min(links))
