"""Path planning on the room's ground truth."""

from __future__ import annotations

import heapq
import itertools
import math

import cv2
import numpy as np
import numpy.typing as npt

from mobile_vla_sim.scene import Block, Scene, Thing

Grid = npt.NDArray[np.float64]
CELL_M = 0.05
_STEPS = tuple(
    (dx, dy, math.hypot(dx, dy))
    for dx, dy in (
        *((1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (1, -1), (-1, 1), (-1, -1)),
        *((2, 1), (2, -1), (-2, 1), (-2, -1), (1, 2), (1, -2), (-1, 2), (-1, -2)),
    )
)


def distance_to_block(x: npt.ArrayLike, y: npt.ArrayLike, block: Block) -> Grid:
    """Metres from points to the nearest side of a block, negative inside."""
    cos, sin = math.cos(block.yaw), math.sin(block.yaw)
    east, north = np.asarray(x) - block.x, np.asarray(y) - block.y
    along = np.abs(east * cos + north * sin) - block.half_x
    across = np.abs(north * cos - east * sin) - block.half_y
    outside = np.hypot(np.maximum(along, 0.0), np.maximum(across, 0.0))
    return np.asarray(outside + np.minimum(np.maximum(along, across), 0.0))


def distance_to_thing(x: npt.ArrayLike, y: npt.ArrayLike, thing: Thing) -> Grid:
    """Metres from points to the outside of a thing, negative inside. A cube is measured as a box."""
    if thing.kind == "cube":
        half = thing.height_m / 2.0
        return distance_to_block(x, y, Block(thing.x, thing.y, thing.yaw, half, half, thing.height_m))
    return np.asarray(np.hypot(np.asarray(x) - thing.x, np.asarray(y) - thing.y) - thing.radius_m)


def clearance(scene: Scene, x: npt.ArrayLike, y: npt.ArrayLike) -> Grid:
    """Metres from points to the nearest wall, block or thing (people are not part of it)."""
    half_x, half_y = scene.size_x_m / 2.0, scene.size_y_m / 2.0
    nearest = np.minimum(half_x - np.abs(np.asarray(x)), half_y - np.abs(np.asarray(y)))
    for block in scene.blocks:
        nearest = np.minimum(nearest, distance_to_block(x, y, block))
    for thing in scene.things:
        nearest = np.minimum(nearest, distance_to_thing(x, y, thing))
    return np.asarray(nearest)


class FloorMap:
    """The floor as cells of 5 cm, each with its clearance."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self._origin_x, self._origin_y = -scene.size_x_m / 2.0, -scene.size_y_m / 2.0
        columns, rows = round(scene.size_x_m / CELL_M), round(scene.size_y_m / CELL_M)
        self.x = self._origin_x + (np.arange(columns) + 0.5) * CELL_M
        self.y = self._origin_y + (np.arange(rows) + 0.5) * CELL_M
        self.clearance = clearance(scene, self.x[None, :], self.y[:, None])

    def cell(self, x: float, y: float) -> tuple[int, int]:
        """Row and column of the cell around a point."""
        rows, columns = self.clearance.shape
        row = min(rows - 1, max(0, int((y - self._origin_y) / CELL_M)))
        column = min(columns - 1, max(0, int((x - self._origin_x) / CELL_M)))
        return row, column

    def near(self, x: float, y: float, radius_m: float) -> npt.NDArray[np.bool_]:
        """The cells within a circle."""
        return np.asarray(np.hypot(self.x[None, :] - x, self.y[:, None] - y) <= radius_m)

    def reaches(self, start: tuple[float, float], goal: tuple[float, float], radius_m: float, needed_m: float) -> bool:
        """Whether something that needs `needed_m` of clearance gets from `start` to within `radius_m` of `goal`."""
        free = (self.clearance >= needed_m).astype(np.uint8)
        _, label = cv2.connectedComponents(free, connectivity=4)
        here = label[self.cell(*start)]
        return bool(here) and bool(np.any((label == here) & self.near(*goal, radius_m)))

    def in_sight(self, a: tuple[float, float], b: tuple[float, float], needed_m: float) -> bool:
        """Whether the straight line between two points keeps its clearance."""
        count = max(2, int(math.dist(a, b) / (CELL_M / 2.0)) + 1)
        share = np.linspace(0.0, 1.0, count)
        x, y = a[0] + share * (b[0] - a[0]), a[1] + share * (b[1] - a[1])
        return bool(np.all(clearance(self.scene, x, y) >= needed_m))


class Route:
    """The cheapest way from anywhere to within `radius_m` of a point."""

    def __init__(
        self,
        floor: FloorMap,
        goal: tuple[float, float],
        radius_m: float,
        needed_m: float,
        *,
        preferred_m: float = 0.0,
        penalty: float = 0.0,
    ) -> None:
        """`needed_m` of clearance is a must; a metre with less than `preferred_m` costs up to `1 + penalty` metres."""
        self.floor = floor
        self.goal = goal
        self.needed_m = needed_m
        shortage = (
            np.clip((preferred_m - floor.clearance) / max(preferred_m - needed_m, 1e-6), 0.0, 1.0)
            if preferred_m > 0.0
            else 0.0
        )
        price = np.where(floor.clearance >= needed_m, 1.0 + penalty * shortage, np.inf)
        self.cost = _cost_to_go(price, floor.near(*goal, radius_m) & np.isfinite(price))

    def path(self, x: float, y: float) -> list[tuple[float, float]]:
        """Points from (x, y) to the goal's circle, straightened; empty when there is no way."""
        cell = self._start(x, y)
        if not math.isfinite(self.cost[cell]):
            return []
        cells = [cell]
        while self.cost[cell] > 0.0:
            cell = self._downhill(cell)
            cells.append(cell)
        points = [(x, y)] + [(float(self.floor.x[column]), float(self.floor.y[row])) for row, column in cells[1:]]
        return self._straightened(points)

    def length(self, x: float, y: float) -> float:
        """Metres of the way from (x, y), inf when there is none."""
        points = self.path(x, y)
        return sum(math.dist(a, b) for a, b in itertools.pairwise(points)) if points else math.inf

    def ahead(self, x: float, y: float, look_m: float) -> tuple[float, float]:
        """The farthest point of the way within `look_m` that is in a straight line from (x, y)."""
        cell = self._start(x, y)
        best = (float(self.floor.x[cell[1]]), float(self.floor.y[cell[0]]))
        while self.cost[cell] > 0.0:
            cell = self._downhill(cell)
            point = (float(self.floor.x[cell[1]]), float(self.floor.y[cell[0]]))
            if math.dist((x, y), point) > look_m:
                break
            if math.dist((x, y), point) > 0.15 and not self.floor.in_sight((x, y), point, self.needed_m - 0.01):
                break
            best = point
        return best

    def _start(self, x: float, y: float) -> tuple[int, int]:
        """The cell of (x, y), or the nearest passable one within 0.3 m when it is too close to something."""
        row, column = self.floor.cell(x, y)
        if math.isfinite(self.cost[row, column]):
            return row, column
        reach = 6
        rows = slice(max(0, row - reach), row + reach + 1)
        columns = slice(max(0, column - reach), column + reach + 1)
        window = self.cost[rows, columns]
        away = np.hypot(
            np.arange(rows.start, rows.start + window.shape[0])[:, None] - row,
            np.arange(columns.start, columns.start + window.shape[1])[None, :] - column,
        )
        away[~np.isfinite(window)] = np.inf
        index = int(np.argmin(away))
        if not math.isfinite(away.flat[index]):
            return row, column
        return rows.start + index // window.shape[1], columns.start + index % window.shape[1]

    def _downhill(self, cell: tuple[int, int]) -> tuple[int, int]:
        row, column = cell
        rows, columns = self.cost.shape
        best, best_cost = cell, math.inf
        for dx, dy, length in _STEPS:
            r, c = row + dy, column + dx
            if 0 <= r < rows and 0 <= c < columns and self.cost[r, c] < self.cost[cell]:
                # Steepest descent per metre keeps the way straight.
                slope = (self.cost[r, c] - self.cost[cell]) / length
                if slope < best_cost:
                    best, best_cost = (r, c), slope
        if best == cell:
            raise RuntimeError(f"the cost-to-go has a pit at cell {cell}")
        return best

    def _straightened(self, points: list[tuple[float, float]]) -> list[tuple[float, float]]:
        kept, index = [points[0]], 0
        while index < len(points) - 1:
            low, high = index + 1, len(points) - 1
            while low < high:
                middle = (low + high + 1) // 2
                if self.floor.in_sight(points[index], points[middle], self.needed_m - 0.01):
                    low = middle
                else:
                    high = middle - 1
            index = low
            kept.append(points[index])
        return kept


def _cost_to_go(price: Grid, goal: npt.NDArray[np.bool_]) -> Grid:
    """Dijkstra over the grid from the goal cells; inf where there is no way."""
    rows, columns = price.shape
    # A border two cells wide that nothing enters spares every bounds check.
    wide = columns + 4
    padded = np.full((rows + 4, wide), np.inf)
    padded[2:-2, 2:-2] = price * CELL_M
    prices = padded.ravel().tolist()
    goals = np.zeros_like(padded, dtype=bool)
    goals[2:-2, 2:-2] = goal
    cost = [math.inf] * len(prices)
    queue = [(0.0, int(index)) for index in np.flatnonzero(goals.ravel())]
    for _, index in queue:
        cost[index] = 0.0
    heapq.heapify(queue)
    moves = [(dy * wide + dx, length / 2.0, _between(dx, dy, wide)) for dx, dy, length in _STEPS]
    while queue:
        so_far, index = heapq.heappop(queue)
        if so_far > cost[index]:
            continue
        here = prices[index]
        for offset, half, between in moves:
            other = index + offset
            total = so_far + half * (here + prices[other])
            if total < cost[other] and all(prices[index + step] < math.inf for step in between):
                cost[other] = total
                heapq.heappush(queue, (total, other))
    return np.array(cost).reshape(rows + 4, wide)[2:-2, 2:-2]


def _between(dx: int, dy: int, wide: int) -> tuple[int, ...]:
    """Offsets of the two cells that a knight's move passes between its ends."""
    if max(abs(dx), abs(dy)) < 2:
        return ()
    if abs(dx) == 2:
        return (dx // 2, dy * wide + dx // 2)
    return (dy // 2 * wide, dy // 2 * wide + dx)
